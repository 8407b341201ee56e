"""Schemas as servers write them: what the model is told of a tool, what the tool is sent, and what comes back."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest
from mcp_odd import tool

from agentdistill.environment import Environment
from agentdistill.errors import InfrastructureError, UserError
from agentdistill.loop import act
from agentdistill.tools.mcp import McpServer, mcp_tools
from agentdistill.types import Message, Source

ODD = str(Path(__file__).parents[1] / "fixtures" / "mcp_odd.py")


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("odd"), []
    tools = mcp_tools({"odd": McpServer(command=(sys.executable, ODD), timeout_s=120)}, folder / "mcp", said.append)
    return tools, folder, said


@pytest.fixture(scope="module")
def workspace(odd):
    with Environment(odd[0], mode="process") as environment:
        yield environment.open()


def run(workspace, code):
    acted = asyncio.run(act(Message("assistant", f"```py\n{code}\n```", Source.MODEL), workspace))
    return acted.execution.observation


def test_signatures_name_the_keys_of_objects(odd):
    shown = {t.name: t.signature for t in odd[0]}
    entity = "{name: str, entityType: str, 'see-also': NotRequired[list[str]]}"
    assert shown["create"] == f"create(entities: list[{entity}]) -> str"
    assert shown["tree"] == "tree(root: {label: NotRequired[str], children: NotRequired[list[dict]]}) -> str"
    assert shown["by_ref"] == "by_ref(x: str) -> str"
    assert shown["by_parts"] == "by_parts(x: str, n: Literal[3] | None = None) -> str"
    assert shown["by_kind"] == "by_kind(id: str, city: str | None = None, zip: int | None = None) -> str"
    assert shown["table"] == "table(cells: dict[str, float] | None = None) -> str"
    assert shown["anything"] == "anything(x: str | None = None, **more) -> str"
    assert shown["wrapped"] == "wrapped() -> int"
    assert shown["pair"] == "pair() -> {result: int, unit: NotRequired[str]}"
    for signature in shown.values():
        compile(f"def {signature}: pass", "stub", "exec")


def test_an_object_of_many_keys_is_told_as_a_dict():
    many = {"type": "object", "properties": {f"key_number_{i}": {"type": "string"} for i in range(40)}}
    from agentdistill.tools.mcp import python_type

    assert python_type(many) == "dict"


@pytest.mark.parametrize(
    ("code", "sent"),
    [
        ("create([{'name': 'Ada', 'entityType': 'person'}])", {"entities": [{"name": "Ada", "entityType": "person"}]}),
        ("by_kind('7', zip=80331)", {"id": "7", "zip": 80331}),
        ("words(self='a', class_='b', args='c')", {"self": "a", "class": "b", "args": "c"}),
        ("words(a_b='d', a_b_='e')", {"a b": "d", "a_b": "e"}),
        ("anything(x='a', colour='red')", {"x": "a", "colour": "red"}),
        ("anything(colour='red')", {"colour": "red"}),
    ],
)
def test_what_code_gives_arrives_under_the_servers_names(workspace, code, sent):
    assert json.loads(run(workspace, f"print({code})")) == sent


def test_builtins_stay_pythons(odd, workspace):
    names = [t.name for t in odd[0]]
    assert [n for n in names if n in ("print_", "sum_", "open_")] == ["print_", "sum_", "open_"]
    assert run(workspace, "print(sum([1, 2]), print_())") == "3 {}"


def test_two_names_that_python_writes_alike_are_told_apart(odd):
    assert [t.name for t in odd[0] if t.name.startswith("a_b")] == ["a_b", "a_b_2"]


def test_results_are_unwrapped_by_their_schema(workspace):
    assert run(workspace, "print(wrapped(), pair(), bare())") == "5 {'result': 5, 'unit': 'km'} {'result': 5}"
    assert "promises has an output schema but did not return" in run(workspace, "print(promises())")


def test_results_that_lack_what_says_nothing(workspace):
    assert run(workspace, "print(no_content())") == "{'a': 1}"
    assert '{"why": "no key"}' in run(workspace, "print(fails())")
    assert "is not what the protocol says: content" in run(workspace, "print(wrong())")


def test_what_is_no_text_is_named_with_its_address(workspace):
    assert run(workspace, "print(file())").splitlines() == [
        "[resource_link: file:///notes/a.md, text/markdown]",
        "[resource: file:///b.png, image/png]",
        "a note",
        "[image: image/png]",
    ]


def test_a_tool_that_needs_a_task_is_left_out_and_told(odd):
    tools, _, said = odd
    assert "waits" not in [t.name for t in tools]
    assert said == ["MCP server odd: waits can only be called as a task, which is not supported; left out"]
    with pytest.raises(UserError, match="waits can only be called as a task"):
        mcp_tools({"odd": McpServer(command=(sys.executable, ODD), tools=("waits",), timeout_s=120)})


def test_what_a_server_says_on_its_error_stream_goes_into_a_file(odd, capfd):
    assert (odd[1] / "mcp" / "odd.log").read_text() == "a line of the server's log\n"
    assert "server's log" not in capfd.readouterr().err


def test_a_list_that_the_protocol_forbids_is_told_in_one_line(tmp_path):
    wrong = tool("wrong")
    wrong["inputSchema"]["type"] = "array"
    (tmp_path / "tools.json").write_text(json.dumps([tool("fine"), wrong]))
    server = McpServer(command=(sys.executable, ODD, str(tmp_path / "tools.json")), timeout_s=120)
    with pytest.raises(UserError, match=r"not what the protocol says: tools\.1\.inputSchema\.type: ") as e:
        mcp_tools({"odd": server}, tmp_path / "mcp")
    assert "\n" not in str(e.value)


X = {"properties": {"x": {"type": "string"}}, "required": ["x"]}
LONG = "z" * 500


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        (None, ""),
        ({}, ""),
        (X, "x: str"),
        ({**X, "type": None}, "x: str"),
        ({"$ref": "#/definitions/A", "definitions": {"A": X}}, "x: str"),
        ({"anyOf": [X, {"properties": {"y": {"type": "integer"}}}]}, "x: str | None = None, y: int | None = None"),
        ({**X, "if": {}, "then": {"properties": {"y": True}, "required": ["y"]}}, "x: str, y: Any = None"),
        ({"properties": {"x": {"type": "string", "nullable": True}}, "required": ["x"]}, "x: str | None"),
        ({"properties": {"x": {"type": "string", "default": LONG}}}, "x: str = ..."),
        ({"properties": {"x": {"enum": [*range(200)]}}, "required": ["x"]}, "x: int"),
    ],
)
def test_schemas_without_a_root_type_and_long_ones(schema, shown, tmp_path):
    offered = {"name": "t", "inputSchema": schema} if schema is not None else {"name": "t"}
    (tmp_path / "tools.json").write_text(json.dumps([offered]))
    server = McpServer(command=(sys.executable, ODD, str(tmp_path / "tools.json")), timeout_s=120)
    [found] = mcp_tools({"odd": server}, tmp_path / "mcp")
    assert found.signature == f"t({shown}) -> str"
    if "x" in shown and "=" not in shown:
        assert json.loads(found.function("a")) == {"x": "a"}


def test_why_a_server_does_not_start_is_told_from_its_log(tmp_path):
    program = "import sys; sys.exit('KeyError: API_TOKEN')"
    with pytest.raises(InfrastructureError, match=r"bad\.log ends in: KeyError: API_TOKEN"):
        mcp_tools({"bad": McpServer(command=(sys.executable, "-c", program), timeout_s=120)}, tmp_path)
