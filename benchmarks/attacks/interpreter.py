"""Attacks from within: lies on the channel, the interpreter turned against itself, and the tools of the host."""

from __future__ import annotations

from agentdistill.sandbox import Stop

from . import Case

_CAUGHT = (Stop.FORGED, Stop.CRASH, Stop.TIMEOUT)
_FINE = (Stop.OK, Stop.ERROR)
_HANGS = (Stop.TIMEOUT,)
_ANY = (Stop.OK, Stop.ERROR, Stop.TIMEOUT, Stop.CRASH)
_LOOP = "\n    while True: pass"


def _node(code: str) -> str:
    return 'node = sys.modules["_sandbox.node"]; cell = sys.modules["_sandbox.cell"]\n' + code


def _code(name: str, code: str, stops: tuple[Stop, ...] = _ANY, wall_s: float = 0.2) -> Case:
    return Case(name, code, stops, weak=True, fork_after=True, wall_s=wall_s)


def _tool(name: str, code: str, stops: tuple[Stop, ...] = _FINE, wall_s: float = 0.6) -> Case:
    return Case(name, code, stops, weak=True, wall_s=wall_s)


def _raw(name: str, code: str, stops: tuple[Stop, ...] = _CAUGHT) -> Case:
    return Case(name, code, stops)


# A node may say what it likes on its channel; the host must never believe, wait or break.
PROTOCOL = [
    Case("a forged reply", "os.write(3, forged(b'all tests passed'))", fork_after=True),
    Case("a forged reply, then work", "os.write(3, forged())\nwhile True: pass", fork_after=True),
    Case("many replies", "for _ in range(100): os.write(3, forged())", fork_after=True),
    Case("a reply of four gigabytes", "os.write(3, b'\\x0b' + b'\\xff' * 4)\nos.write(3, b'x' * 10**6)", _CAUGHT),
    Case("a reply that never ends", r"""
os.write(3, b'\x0b\0\0\x10\0')
while True: os.write(3, b'x'); time.sleep(0.01)""", _CAUGHT),
    Case("a reply that is cut short", "os.write(3, forged()[:20])\nos._exit(0)", _CAUGHT),
    Case("noise", "os.write(3, bytes(range(256)) * 100)", _CAUGHT),
    Case("a flood of noise", "while True: os.write(3, b'\\x0b' * 65536)", _CAUGHT),
    Case("fields past the end", "os.write(3, b'\\x0b\\0\\0\\0\\x06\\x01\\xff\\xff\\xff\\xff\\0')", _CAUGHT),
    Case("no fields", "os.write(3, frame(11, []))", _CAUGHT),
    Case("too many fields", "os.write(3, frame(11, [b''] * 200))", _CAUGHT),
    Case("an empty payload", "os.write(3, b'\\x0b\\0\\0\\0\\0')", _CAUGHT),
    Case("frames of other kinds", """
for kind in (1, 2, 3, 10, 20, 21, 22, 255): os.write(3, frame(kind, [b'x']))""", _CAUGHT),
    Case("a HELLO out of turn", "os.write(3, frame(10, []))", _CAUGHT),
    Case("numbers out of range", """
import struct
os.write(3, frame(11, [struct.pack('!BBIdQ', 250, 255, 2**32 - 1, float('nan'), 2**64 - 1)] + [b''] * 6))""", _CAUGHT),
    Case("a negative time", """
import struct
os.write(3, frame(11, [struct.pack('!BBIdQ', 0, 255, 0, -1e300, 2**64 - 1)] + [b'\\xff\\xfe'] * 6))""", _CAUGHT),
    Case("the channel closed", "os.close(3)", (Stop.CRASH,)),
    Case("the channel replaced", "a, b = os.pipe()\nos.dup2(b, 3)", (Stop.CRASH, Stop.TIMEOUT)),
    Case("the channel shut for writing", """
import socket
socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3).shutdown(socket.SHUT_WR)""", (Stop.CRASH,)),
    Case("the orders read away", "os.read(3, 10**6)", (Stop.TIMEOUT,), wall_s=0.3),
    Case("the reply rewritten", _node("node.Node._reply = lambda *a: b'\\x0b\\0\\0\\0\\x01\\0'"), _CAUGHT),
    Case("the runner rewritten", _node("cell.Runner.run = lambda *a: None"), (Stop.OK,), fork_after=True),
    Case("the loop rewritten", _node("node.Node.serve = node.Node._exec = print"), (Stop.OK,), fork_after=True),
    Case("forks refused", """
sys.modules['_sandbox.template'].Forker.__call__ = lambda self, size: self._take(size)""", (Stop.OK,), fork_after=True),
    Case("forks answered by the parent", """
def lie(self, size): os.write(self._take(size)[0], frame(10, []))
sys.modules['_sandbox.template'].Forker.__call__ = lie""", (Stop.OK,), fork_after=True),
    Case("forks that keep quiet", """
fork = sys.modules['_sandbox.isolation'].fork_as_sibling
def hide(self, size):
    self._take(size)
    fork()
    while True: pass
sys.modules['_sandbox.template'].Forker.__call__ = hide""", (Stop.OK,), fork_after=True),
    Case("a frame found through gc", """
import gc
for thing in gc.get_objects():
    if type(thing).__name__ == 'Runner': thing.final = 'taken'; thing.capture = None""", fork_after=True),
    Case("memory overwritten", """
target = id(sys.modules['_sandbox.node'].Node)
ctypes.memset(target, 0x41, 200)
sys.modules['_sandbox.node'].Node.x""", (Stop.CRASH, Stop.ERROR, Stop.TIMEOUT)),
]  # fmt: skip

# Hooks, finalizers, hostile objects, clobbered names.
PYTHON = [
    _code("output flood", "while True: print('x' * 1000)", (Stop.OUTPUT, Stop.TIMEOUT), 2.0),
    _code("one huge print", "print('x' * 10**8)", (Stop.OK, Stop.MEMORY, Stop.OUTPUT, Stop.TIMEOUT)),
    _code("output in crumbs", "while True: sys.stdout.write('x')", (Stop.OUTPUT, Stop.TIMEOUT)),
    _code("output to the descriptors", "for fd in (0, 1, 2): os.write(fd, b'x' * 10**6)"),
    _code("lone surrogates", r"print('\ud800'); '\udfff'", (Stop.OK,)),
    _code("control characters", r"print('\x00\x1b[2J\x07\r\b')", (Stop.OK,)),
    _code("a str of its own kind",
          "class S(str):\n def __getitem__(s, k): return s * 10**6\n def __len__(s): return -1\n"
          "print(S('x')); final_answer(S('x'))"),
    _code("repr that hangs", f"class A:\n  def __repr__(self):{_LOOP}\nA()", _HANGS),
    _code("repr that is huge", "class A:\n def __repr__(self): return 'x' * 10**8\nA()", (Stop.OK, Stop.MEMORY)),
    _code("repr that is no str", "class A:\n def __repr__(self): return 1\nA()", (Stop.ERROR,)),
    _code("repr that exits", "class A:\n def __repr__(self): sys.exit()\nfinal_answer(A())", (Stop.ERROR,)),
    _code("message that hangs", f"class E(Exception):\n  def __str__(self):{_LOOP}\nraise E", _HANGS),
    _code("message that raises", "class E(Exception):\n def __str__(self): raise self\nraise E", (Stop.ERROR,)),
    _code("a chain of causes without end", """
e = ValueError('a'); f = ValueError('b')
e.__cause__ = f; f.__cause__ = e
raise e""", (Stop.ERROR,)),
    _code("ten thousand contexts", """
e = None
for n in range(10**4):
    f = ValueError(n); f.__context__ = e; e = f
raise e""", (Stop.ERROR, Stop.TIMEOUT), 2.0),
    _code("a group of exceptions, nested", """
e = ValueError()
for _ in range(2000): e = ExceptionGroup('g', [e])
raise e""", (Stop.ERROR, Stop.CRASH), 2.0),
    _code("a name that is hostile", "class M(type):\n __name__ = property(lambda c: 1/0)\n"
          "class E(Exception, metaclass=M): pass\nraise E"),
    _code("builtins removed", "import builtins\nvars(builtins).clear()"),
    _code("builtins replaced",
          "import builtins\nfor n in ('len','repr','compile','exec','print','isinstance','str','open'):\n"
          " setattr(builtins, n, None)"),
    _code("modules removed", "sys.modules.clear()"),
    _code("modules replaced", "for n in ('traceback','linecache','struct','time','signal','json','io','os'):\n"
          " sys.modules[n] = None"),
    _code("stdout removed", "del sys.stdout, sys.stderr\nprint(1)"),
    _code("stdout closed", "sys.stdout.close(); print(1)"),
    _code("stdout hostile", f"class W:\n  def write(self, t):{_LOOP}\nsys.stdout = W(); print(1)", _HANGS),
    _code("trace hook", f"def t(*a):{_LOOP}\nsys.settrace(t)\n(lambda: 1)()", _HANGS),
    _code("trace hook left behind", "sys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: 1 / 0)"),
    _code("gc hook", f"import gc\ndef g(*a):{_LOOP}\ngc.callbacks.append(g)\ngc.collect()", _HANGS),
    _code("gc turned off and abused", "import gc\ngc.disable(); gc.set_threshold(1); gc.unfreeze(); gc.collect()"),
    _code("finalizer that hangs", f"class A:\n  def __del__(self):{_LOOP}\nx = A(); del x", _HANGS),
    _code("finalizer that comes back",
          "class A:\n def __del__(self): globals()['x'] = self\nx = A(); del x; x", (Stop.OK,)),
    _code("weak reference hook",
          f"import weakref\nclass A: pass\ndef f(r):{_LOOP}\na = A(); w = weakref.ref(a, f); del a",
          _HANGS),
    _code("atexit", f"import atexit\ndef f():{_LOOP}\natexit.register(f)\nos._exit(0)", (Stop.CRASH,)),
    _code("atexit, run now", f"import atexit\ndef f():{_LOOP}\natexit.register(f)\natexit._run_exitfuncs()", _HANGS),
    _code("audit hook", "sys.addaudithook(lambda *a: 1 / 0)"),
    _code("codec hook", f"import codecs\ndef c(n):{_LOOP}\ncodecs.register(c)\n'x'.encode('evil')", _HANGS),
    _code("codec error hook",
          f"import codecs\ndef c(e):{_LOOP}\ncodecs.register_error('backslashreplace', c)\n'\\ud800'",
          (Stop.OK, Stop.TIMEOUT)),
    _code("import hook",
          f"class F:\n  def find_spec(self, *a):{_LOOP}\nsys.meta_path.insert(0, F())\nimport not_there", _HANGS),
    _code("import path", "open('numpy.py', 'w').write('breach(1)')\nsys.path.insert(0, '.')\nimport numpy; numpy.pi"),
    _code("exception and display hooks", f"def h(*a):{_LOOP}\nsys.excepthook = sys.displayhook = h\n1"),
    _code("traceback tampered",
          "import traceback, linecache\ntraceback.TracebackException = None; linecache.cache = None\n1/0"),
    _code("frames climbed", "f = sys._getframe()\nwhile f: f.f_locals.clear(); f = f.f_back"),
    _code("recursion limit", "sys.setrecursionlimit(50)\nimport json\nprint(json.dumps([[[1]]]))"),
    _code("switch interval", "sys.setswitchinterval(10**6)", (Stop.OK,)),
    _code("hostile pickle", """
import pickle
class P:
    def __reduce__(self): return os.system, ('true',)
if pickle.loads(pickle.dumps(P())) == 0 and sys.platform == 'linux' and CONTAINED: breach('ran')"""),
    _code("pickle bomb", "import pickle\npickle.loads(b'(' * 10**7)", (Stop.ERROR, Stop.MEMORY, Stop.TIMEOUT)),
    _code("a final answer that is swallowed",
          "try: final_answer(1)\nexcept BaseException: pass\nwhile True: pass", _HANGS),
    _code("a final answer that hangs", f"class A:\n  def __repr__(self):{_LOOP}\nfinal_answer(A())", _HANGS),
    _code("generators left running",
          "def g():\n try: yield\n finally:\n  while True: pass\nx = g(); next(x); del x", _HANGS),
    _code("null byte in the source", "exec('x = 1\\x00')", (Stop.ERROR,)),
    _code("signal handlers left behind", "signal.signal(signal.SIGALRM, lambda *a: None)\n"
          "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)"),
    _code("wakeup descriptor", "a, b = os.pipe(); os.set_blocking(b, False); signal.set_wakeup_fd(b)"),
    _code("fault handler",
          "import faulthandler\nfaulthandler.enable(open('f', 'w')); faulthandler._sigsegv()", (Stop.CRASH, Stop.OK)),
]  # fmt: skip

# The functions of the host that model code may call: echo, slow, boom and odd, given by the runner.
TOOLS = [
    _tool("tool calls without end", "while True: echo(1)", (Stop.TOOLS,), 5.0),
    _tool("tool that fails", "must_fail(boom, 'boom')", (Stop.OK,)),
    _tool("tool that takes too long", "must_fail(slow, 'slow')", (Stop.OK,)),
    _tool("tool with a result that is not JSON", "must_fail(odd, 'odd')", (Stop.OK,)),
    _tool("tool with wrong arguments", "must_fail(lambda: echo(1, 2, 3, x=4), 'arguments')", (Stop.OK,)),
    _tool("tool with hostile keywords", "must_fail(lambda: echo(**{'__class__': 1, 'self': 2}), 'keywords')",
          (Stop.OK,)),
    _tool("tool with arguments that are not JSON", "must_fail(lambda: echo(object()), 'object')", (Stop.OK,)),
    _tool("tool with a cycle", "x = []; x.append(x)\nmust_fail(lambda: echo(x), 'cycle')", (Stop.OK,)),
    _tool("tool with odd numbers", "echo([float('nan'), float('inf'), -0.0, 10**300, 1e308])"),
    _tool("tool with a huge number", "must_fail(lambda: echo(10**5000), 'number')", _FINE),
    _tool("tool with a huge argument", "echo('x' * 10**8)", (Stop.FORGED, Stop.MEMORY, Stop.ERROR, Stop.TIMEOUT)),
    _tool("tool in a repr", "class A:\n def __repr__(self): return echo('from repr')\nA()", (Stop.OK,)),
    _tool("tool in a finalizer", "class A:\n def __del__(self): echo(1)\nx = A(); del x", (Stop.OK,)),
    _tool("tool in a tool's argument", "class S(str):\n def __str__(self): return echo(1)\necho(S('x'))"),
    _tool("tool replaced", "echo = lambda *a: 'mine'\necho(1)", (Stop.OK,)),
    _tool("tool class rewritten", "type(echo).__call__ = lambda *a: 1\necho(1)", (Stop.OK,)),
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

CASES = [*PROTOCOL, *PYTHON, *TOOLS]
