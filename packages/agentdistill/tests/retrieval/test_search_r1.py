"""The client of Search-R1's retriever, against a real server on the loopback device."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_server import as_search_r1, search_server

from agentdistill.errors import InfrastructureError, RecipeError, UserError
from agentdistill.pipeline.run import Run
from agentdistill.recipe import Recipe, load_recipe
from agentdistill.retrieval import Passage, build_retriever, search_r1

TOWN = [
    Passage("Velmora", "Velmora is a town on the river Aren.\nIt is old."),
    Passage("Aren", 'The Aren is a river, called "the long one".'),
    Passage("Tasch", "Tasch is a town of 9,000 people."),
]
LOCAL = build_retriever("bm25", TOWN)
QUERIES = ["town on a river", "people of Tasch", "Aren"]

FORMS = {
    "search-r1": as_search_r1,
    "no scores": lambda p: {"id": 3, "contents": f'"{p.title}"\n{p.text}'},
    "pyserini": lambda p: {"title": f'"{p.title}"', "text": p.text, "contents": f"{p.title}\n{p.text}"},
    "title and text": lambda p: {"document": {"title": p.title, "text": p.text}, "score": "0.25"},
    "title and contents": lambda p: {"title": p.title, "contents": f'"{p.title}"\n{p.text}'},
    "content": lambda p: {"document": {"content": f"{p.title}\n{p.text}"}},
    "plain text": lambda p: f"{p.title}\n{p.text}",
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_r1, "_FIRST_WAIT_S", 0.01)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_document_is_read(form: str) -> None:
    with search_server(LOCAL, FORMS[form]) as served:
        remote = build_retriever("search-r1", (), url=served.url)
        assert remote.search_many(QUERIES, 2) == LOCAL.search_many(QUERIES, 2)
        assert remote.search("Aren", 1) == LOCAL.search("Aren", 1)
        assert served.asked[-1] == {"path": "/retrieve", "queries": ["Aren"], "topk": 1, "return_scores": True}


@pytest.mark.parametrize("wrap", [lambda r: r, lambda r: {"results": r}, lambda r: {"result": r, "success": True}])
def test_the_lists_stand_under_result_or_alone(wrap: Any) -> None:
    with search_server(LOCAL, wrap=wrap) as served:
        remote = build_retriever("search-r1", (), url=f"{served.url}/retrieve/")
        assert remote.search_many(QUERIES, 2) == LOCAL.search_many(QUERIES, 2)


def test_a_single_list_answers_a_single_query() -> None:
    with search_server(LOCAL, wrap=lambda r: {"result": r[0]}) as served:
        remote = build_retriever("search-r1", (), url=served.url)
        assert remote.search("river", 3) == LOCAL.search("river", 3)
        assert remote.search("unheard", 3) == []


def test_nothing_is_asked_for_nothing_and_many_go_together() -> None:
    with search_server(LOCAL) as served:
        remote = build_retriever("search-r1", (), url=served.url)
        assert remote.search("  ", 3) == []
        assert remote.search("river", 0) == []
        assert served.asked == []
        many = ["river", "", "town"] * 50
        assert remote.search_many(many, 2) == LOCAL.search_many(many, 2)
        assert [len(a["queries"]) for a in served.asked] == [64, 36]
        assert remote.corpus == f"{served.url}/retrieve"


def test_many_threads_may_ask_at_once() -> None:
    with search_server(LOCAL) as served, ThreadPoolExecutor(8) as pool:
        remote = build_retriever("search-r1", (), url=served.url)
        found = list(pool.map(lambda i: remote.search(QUERIES[i % 3], 2), range(60)))
        assert found == [LOCAL.search(QUERIES[i % 3], 2) for i in range(60)]


@pytest.mark.parametrize(
    "fault",
    [
        (503, {}, b"loading the index"),
        (429, {"Retry-After": "0.05"}, b""),
        (200, {}, b"<html>not json"),
        (200, {}, b'{"detail": "nothing"}'),
        (200, {}, b'{"result": [[{"document": {"id": 3}}]]}'),
        "drop",
    ],
)
def test_what_may_pass_is_tried_again(fault: Any) -> None:
    with search_server(LOCAL) as served:
        served.first += [fault, fault]
        remote = build_retriever("search-r1", (), url=served.url, tries=3)
        assert remote.search("river", 2) == LOCAL.search("river", 2)
        assert len(served.asked) == 3
        served.first += [fault] * 3
        with pytest.raises(InfrastructureError, match=r"127\.0\.0\.1.*\(3 tries\)"):
            remote.search("river", 2)
        assert len(served.asked) == 6


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"result": [[], []]}', "2 results for 1 queries"),
        (b'{"result": 7}', "the result is no list: 7"),
        (b'{"result": [[7]]}', "a document is neither text nor an object: 7"),
        (b'{"result": [[{"title": "A"}]]}', "a document without text or contents"),
        (b'{"error": "no index"}', 'no "result": {"error": "no index"}'),
        (b"[" * 100_000, "not understood"),
    ],
)
def test_an_answer_of_another_form_is_the_servers_fault(answer: bytes, why: str) -> None:
    with search_server(LOCAL) as served:
        served.first.append((200, {}, answer))
        with pytest.raises(InfrastructureError) as caught:
            build_retriever("search-r1", (), url=served.url, tries=1).search("river", 2)
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_refusal_is_the_users_fault_and_not_tried_again() -> None:
    with search_server(LOCAL) as served:
        served.first.append((404, {}, b'{"detail": "Not Found"}'))
        with pytest.raises(UserError, match=r"refused the request \(404: .*Not Found"):
            build_retriever("search-r1", (), url=served.url).search("river", 2)
        assert len(served.asked) == 1


def test_a_long_wait_that_the_server_asks_for_is_not_waited_for() -> None:
    with search_server(LOCAL) as served:
        served.first.append((429, {"Retry-After": "3600"}, b"slow down"))
        with pytest.raises(InfrastructureError, match=r"answered 429 \(slow down\) \(1 try\)"):
            build_retriever("search-r1", (), url=served.url).search("river", 2)


def test_a_server_that_is_not_there_or_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(InfrastructureError, match=r"did not answer in time \(2 tries\)"):
            build_retriever("search-r1", (), url=url, tries=2, timeout_s=0.1).search("river", 2)
    with pytest.raises(InfrastructureError, match=r"cannot be reached .*\(2 tries\)"):
        build_retriever("search-r1", (), url=url, tries=2).search("river", 2)


def test_what_cannot_be_asked() -> None:
    with pytest.raises(UserError, match="does not begin with http"):
        build_retriever("search-r1", (), url="localhost:8000")
    with pytest.raises(UserError, match="give it no corpus"):
        build_retriever("search-r1", TOWN, url="http://localhost:8000")
    with pytest.raises(UserError, match='did you mean "timeout_s"'):
        build_retriever("search-r1", (), url="http://localhost:8000", timeout=3)
    with pytest.raises(UserError, match="tries has to be at least 1"):
        build_retriever("search-r1", (), url="http://localhost:8000", tries=0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["result", "document", "title", "text", "contents", "score"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(JSON, st.integers(1, 3))
def test_any_reply_is_passages_or_a_value_error(reply: Any, n_queries: int) -> None:
    found: list[list[Passage]] = [[]] * n_queries
    with contextlib.suppress(ValueError):  # nothing else comes out
        found = search_r1._lists(reply, n_queries)
    assert len(found) == n_queries
    assert all(isinstance(p, Passage) for own in found for p in own)


@given(st.text(min_size=1).filter(str.strip), st.text(min_size=1).filter(str.strip))
def test_contents_come_back_as_title_and_text(title: str, text: str) -> None:
    line = " ".join(title.split()).strip('"').strip() or "A"
    assert search_r1._document({"contents": f'"{line}"\n{text}'}) == Passage(line, text.strip())


# --- in a recipe ------------------------------------------------------------------------------------------------------


RECIPE = """
[problems]
train = "questions.jsonl"
[teacher]
url = "http://localhost:1/v1"
name = "t"
[student]
base = "b"
methods = ["agent", "cot-rag"]
[sandbox]
mode = "process"
[tools]
"""


def recipe(folder: Path, tools: str) -> Recipe:
    path = folder / "remote.toml"
    path.write_text(RECIPE + tools, encoding="utf-8")
    return load_recipe(path)


def test_a_recipe_searches_through_the_server(tmp_path: Path) -> None:
    with search_server(LOCAL) as served:
        tools = f'retriever = "search-r1"\nurl = "{served.url}"\nk = 2\nretriever_settings = {{ tries = 2 }}'
        made = recipe(tmp_path, tools)
        run = Run(made, tmp_path / "run")
        assert run.retriever is not None
        assert run.retriever.corpus == f"{served.url}/retrieve"
        with run.environment(made.collect) as environment:
            done = environment.open().run("print(search('people of Tasch'))")
        assert "9,000 people" in done.observation
        assert [c.name for c in done.tool_calls] == ["search"]
        assert served.asked == [{"path": "/retrieve", "queries": ["people of Tasch"], "topk": 2, "return_scores": True}]


@pytest.mark.parametrize(
    ("tools", "why"),
    [
        ('retriever = "search-r1"', 'toml:13: retriever "search-r1" needs url, the address of its server'),
        ('retriever = "search-r1"\nurl = "http://x"\nsearch = "c.json"', "toml:15: .* leave search out"),
        ('search = "c.json"\nurl = "http://x"', 'toml:14: retriever "bm25" asks no server; leave url out'),
        ('search = "c.json"\nretriever_settings = { titel_weight = 2 }', 'toml:14: .* did you mean "title_weight"'),
        ('search = "c.json"\nretriever_settings = { title_weight = "2" }', "title_weight has to be a whole number"),
        ('search = "c.json"\nretriever_settings = { cache = "x" }', 'unknown setting "cache"'),
        ('search = "c.json"\n[tools.retriever_settings]\nk1 = true', "toml:15: k1 has to be a number, got True"),
        ('retriever = "search-r1"\nurl = "http://x"\nretriever_settings = { url = "y" }', "url belongs into"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_line(tmp_path: Path, tools: str, why: str) -> None:
    with pytest.raises(RecipeError, match=why):
        recipe(tmp_path, tools)
