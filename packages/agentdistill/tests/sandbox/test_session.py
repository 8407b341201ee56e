"""What a session gives back: output, value, final answer, errors, tools."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from agentdistill.sandbox import Limits, Sandbox, SandboxClosed, Stop


def test_state_output_and_value(box: Sandbox) -> None:
    with box.session() as s:
        result = s.exec("x = 1\nprint(x)\nx + 1")
        assert (result.output, result.value, result.stop, result.error) == ("1\n", "2", Stop.OK, None)
        assert s.exec("x = x + 1").value is None
        assert s.exec("import sys; print('e', file=sys.stderr); x").value == "2"
        assert result.seconds > 0
        assert result.cpu_s > 0


def test_error_has_the_models_own_lines(box: Sandbox) -> None:
    with box.session() as s:
        s.exec("def f(n):\n    return 1 / n")
        result = s.exec("y = 2\n\nf(0)")
        assert result.stop is Stop.ERROR
        assert result.error is not None
        assert (result.error.type, result.error.message, result.error.line) == (
            "ZeroDivisionError",
            "division by zero",
            3,
        )
        assert 'File "<cell 2>", line 3' in result.error.traceback
        assert 'File "<cell 1>", line 2, in f' in result.error.traceback
        assert "return 1 / n" in result.error.traceback
        assert "_sandbox" not in result.error.traceback
        assert s.exec("y").value == "2"  # what ran before the error stays


def test_syntax_error(box: Sandbox) -> None:
    with box.session() as s:
        result = s.exec("x = 1\nif x\n")
        assert result.error is not None
        assert (result.error.type, result.error.line) == ("SyntaxError", 2)


@pytest.mark.parametrize(
    ("answer", "text"), [("'a b'", "a b"), ("{'a': 1}", "{'a': 1}"), ("None", "None"), ("2.50", "2.5")]
)
def test_final_answer(box: Sandbox, answer: str, text: str) -> None:
    with box.session() as s:
        result = s.exec(f"print('before')\nfinal_answer({answer})\nprint('after')")
        assert (result.final_answer, result.is_final, result.output) == (text, True, "before\n")
        assert not s.exec("1").is_final


def test_tools(box: Sandbox) -> None:
    with box.session() as s:
        assert s.exec("add(1, b=2)").value == "3"
        (kid,) = s.fork()
        assert kid.exec("[add(i, i) for i in range(3)]").value == "[0, 2, 4]"
        result = s.exec("try:\n    add(1)\nexcept Exception as e:\n    print(type(e).__name__, e)")
        assert result.output.startswith("ToolError TypeError")
    with box.session(tools={"mine": lambda: {"a": [1, None, True]}}) as s:
        assert s.exec("mine()").value == "{'a': [1, None, True]}"
        assert s.exec("add(1, 2)").stop is Stop.ERROR


def test_async_tool_and_time_in_tools_does_not_count(box: Sandbox) -> None:
    async def slow() -> str:
        await asyncio.sleep(1.6)
        return "done"

    # The wall clock is wide, for a starved machine, and still shorter than the tool alone takes.
    with box.session(tools={"slow": slow}, limits=replace(box.limits, tool_s=60.0)) as s:
        s.exec("1")
        result = s.exec("slow()", wall_s=1.5)
        assert result.value == "'done'"
        assert result.seconds < 1.5


def test_tool_limits(box: Sandbox) -> None:
    with box.session(tools={"hang": lambda: threading.Event().wait(3), "one": lambda: 1}) as s:
        assert "took longer than 0.5 s" in s.exec("try: hang()\nexcept Exception as e: print(e)").output
        assert s.exec("for _ in range(6): one()").stop is Stop.TOOLS
        assert s.exec("1").value == "1"


def test_async_twins(box: Sandbox) -> None:
    async def work() -> list[str | None]:
        async with box.session() as s:
            await s.aexec("x = 1")
            kids = await s.afork(3)
            results = await asyncio.gather(*(kid.aexec(f"x += {n}; x") for n, kid in enumerate(kids)))
            await s.acommit(kids[2])
            await kids[0].adrop()
            return [*(result.value for result in results), (await s.aexec("x")).value]

    assert asyncio.run(work()) == ["1", "2", "3", "3"]


def test_many_threads_at_once(box: Sandbox) -> None:
    wrong: list[object] = []

    def work(n: int) -> None:
        with box.session() as s:
            results = [s.exec(f"x = {n}")]
            kids = s.fork(2)
            results += [kid.exec("x += add(1, 1)") for kid in kids]
            s.commit(kids[1])
            results.append(s.exec("x"))
            if results[-1].value != str(n + 2):
                wrong.append((n, results))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_closed_is_the_callers_mistake(box: Sandbox) -> None:
    s = box.session()
    s.exec("1")
    s.drop()
    s.drop()
    with pytest.raises(SandboxClosed):
        s.exec("1")
    with pytest.raises(SandboxClosed):
        s.fork(2)


def test_text_that_is_not_unicode(box: Sandbox) -> None:
    with box.session() as s:
        assert s.exec("'\ud800'").stop is Stop.ERROR
        assert s.exec("x = 1\x00").stop is Stop.ERROR
        assert s.exec("'é' + chr(0xD800)").value is not None
        assert s.exec("").stop is Stop.OK


def test_weak_mode_has_to_be_asked_for() -> None:
    with Sandbox("process", modules=()) as box:
        assert box.capabilities.weak
        assert "WEAK" in box.capabilities.note
    with pytest.raises(ValueError, match="mode must be"):
        Sandbox("none")
    with pytest.raises(ValueError, match="above 0"):
        Limits(wall_s=0)
    with pytest.raises(ValueError, match="identifier"):
        Sandbox(tools={"not a name": print})


def test_import_is_light() -> None:
    import subprocess
    import sys

    heavy = "{'numpy', 'sympy', 'torch'}"
    code = f"import sys, agentdistill.sandbox; print(len({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
