"""The functions of the host that model code may call: echo, slow, boom and odd, given by the attack runner."""

from __future__ import annotations

from ..types import Stop
from . import Case

_STOPS = (Stop.OK, Stop.ERROR)
_CAUGHT = (Stop.FORGED, Stop.CRASH, Stop.TIMEOUT)


def _case(name: str, code: str, stops: tuple[Stop, ...] = _STOPS, wall_s: float = 0.6) -> Case:
    return Case(name, code, stops, weak=True, wall_s=wall_s)


def _raw(name: str, code: str, stops: tuple[Stop, ...] = _CAUGHT) -> Case:
    return Case(name, code, stops)


CASES = [
    _case("tool calls without end", "while True: echo(1)", (Stop.TOOLS,), 5.0),
    _case("tool that fails", "must_fail(boom, 'boom')", (Stop.OK,)),
    _case("tool that takes too long", "must_fail(slow, 'slow')", (Stop.OK,)),
    _case("tool with a result that is not JSON", "must_fail(odd, 'odd')", (Stop.OK,)),
    _case("tool with wrong arguments", "must_fail(lambda: echo(1, 2, 3, x=4), 'arguments')", (Stop.OK,)),
    _case("tool with hostile keywords", "must_fail(lambda: echo(**{'__class__': 1, 'self': 2}), 'keywords')",
          (Stop.OK,)),
    _case("tool with arguments that are not JSON", "must_fail(lambda: echo(object()), 'object')", (Stop.OK,)),
    _case("tool with a cycle", "x = []; x.append(x)\nmust_fail(lambda: echo(x), 'cycle')", (Stop.OK,)),
    _case("tool with odd numbers", "echo([float('nan'), float('inf'), -0.0, 10**300, 1e308])"),
    _case("tool with a huge number", "must_fail(lambda: echo(10**5000), 'number')", _STOPS),
    _case("tool with a huge argument", "echo('x' * 10**8)", (Stop.FORGED, Stop.MEMORY, Stop.ERROR, Stop.TIMEOUT)),
    _case("tool in a repr", "class A:\n def __repr__(self): return echo('from repr')\nA()", (Stop.OK,)),
    _case("tool in a finalizer", "class A:\n def __del__(self): echo(1)\nx = A(); del x", (Stop.OK,)),
    _case("tool in a tool's argument", "class S(str):\n def __str__(self): return echo(1)\necho(S('x'))"),
    _case("tool replaced", "echo = lambda *a: 'mine'\necho(1)", (Stop.OK,)),
    _case("tool class rewritten", "type(echo).__call__ = lambda *a: 1\necho(1)", (Stop.OK,)),
    _raw("call of a tool that is not there", "os.write(3, frame(12, [b'__import__', b'[[\"os\"], {}]']))\n"
         "if b'no tool' not in os.read(3, 1000): breach('called')\nos._exit(0)"),
    _raw("call with arguments that are not JSON", "os.write(3, frame(12, [b'echo', b'\\xff\\xfe{[']))\n"
         "if b'not JSON' not in os.read(3, 1000): breach('called')\nos._exit(0)"),
    _raw("call with JSON without a floor", "os.write(3, frame(12, [b'echo', b'[' * 10**6]))\n"
         "if b'not JSON' not in os.read(3, 1000): breach('called')\nos._exit(0)"),
    _raw("call with a list of another shape", "os.write(3, frame(12, [b'echo', b'{\"a\": 1}']))\n"
         "if b'not JSON' not in os.read(3, 1000): breach('called')\nos._exit(0)"),
    _raw("call with too few fields", "os.write(3, frame(12, [b'echo']))"),
    _raw("call whose answer is not read", "for _ in range(10): os.write(3, frame(12, [b'echo', b'[[1], {}]']))\n"
         "while True: pass", (Stop.TIMEOUT,)),
    _raw("call with a name in odd bytes", "os.write(3, frame(12, [b'\\xff' * 1000, b'[[], {}]']))\n"
         "os.read(3, 1000); os._exit(0)"),
]  # fmt: skip
