"""The interpreter itself: hooks, finalizers, hostile objects, clobbered names."""

from __future__ import annotations

from ..types import Stop
from . import Case

_FINE = (Stop.OK, Stop.ERROR)
_HANGS = (Stop.TIMEOUT,)
_ANY = (Stop.OK, Stop.ERROR, Stop.TIMEOUT, Stop.CRASH)
_LOOP = "\n    while True: pass"


def _case(name: str, code: str, stops: tuple[Stop, ...] = _ANY, wall_s: float = 0.2) -> Case:
    return Case(name, code, stops, weak=True, fork_after=True, wall_s=wall_s)


CASES = [
    _case("output flood", "while True: print('x' * 1000)", (Stop.OUTPUT, Stop.TIMEOUT), 2.0),
    _case("one huge print", "print('x' * 10**8)", (Stop.OK, Stop.MEMORY, Stop.OUTPUT, Stop.TIMEOUT)),
    _case("output in crumbs", "while True: sys.stdout.write('x')", (Stop.OUTPUT, Stop.TIMEOUT)),
    _case("output to the descriptors", "for fd in (0, 1, 2): os.write(fd, b'x' * 10**6)"),
    _case("lone surrogates", r"print('\ud800'); '\udfff'", (Stop.OK,)),
    _case("control characters", r"print('\x00\x1b[2J\x07\r\b')", (Stop.OK,)),
    _case("a str of its own kind",
          "class S(str):\n def __getitem__(s, k): return s * 10**6\n def __len__(s): return -1\n"
          "print(S('x')); final_answer(S('x'))"),
    _case("repr that hangs", f"class A:\n  def __repr__(self):{_LOOP}\nA()", _HANGS),
    _case("repr that is huge", "class A:\n def __repr__(self): return 'x' * 10**8\nA()", (Stop.OK, Stop.MEMORY)),
    _case("repr that is no str", "class A:\n def __repr__(self): return 1\nA()", (Stop.ERROR,)),
    _case("repr that exits", "class A:\n def __repr__(self): sys.exit()\nfinal_answer(A())", (Stop.ERROR,)),
    _case("message that hangs", f"class E(Exception):\n  def __str__(self):{_LOOP}\nraise E", _HANGS),
    _case("message that raises", "class E(Exception):\n def __str__(self): raise self\nraise E", (Stop.ERROR,)),
    _case("a chain of causes without end", """
e = ValueError('a'); f = ValueError('b')
e.__cause__ = f; f.__cause__ = e
raise e""", (Stop.ERROR,)),
    _case("ten thousand contexts", """
e = None
for n in range(10**4):
    f = ValueError(n); f.__context__ = e; e = f
raise e""", (Stop.ERROR, Stop.TIMEOUT), 2.0),
    _case("a group of exceptions, nested", """
e = ValueError()
for _ in range(2000): e = ExceptionGroup('g', [e])
raise e""", (Stop.ERROR, Stop.CRASH), 2.0),
    _case("a name that is hostile", "class M(type):\n __name__ = property(lambda c: 1/0)\n"
          "class E(Exception, metaclass=M): pass\nraise E"),
    _case("builtins removed", "import builtins\nvars(builtins).clear()"),
    _case("builtins replaced",
          "import builtins\nfor n in ('len','repr','compile','exec','print','isinstance','str','open'):\n"
          " setattr(builtins, n, None)"),
    _case("modules removed", "sys.modules.clear()"),
    _case("modules replaced", "for n in ('traceback','linecache','struct','time','signal','json','io','os'):\n"
          " sys.modules[n] = None"),
    _case("stdout removed", "del sys.stdout, sys.stderr\nprint(1)"),
    _case("stdout closed", "sys.stdout.close(); print(1)"),
    _case("stdout hostile", f"class W:\n  def write(self, t):{_LOOP}\nsys.stdout = W(); print(1)", _HANGS),
    _case("trace hook", f"def t(*a):{_LOOP}\nsys.settrace(t)\n(lambda: 1)()", _HANGS),
    _case("trace hook left behind", "sys.settrace(lambda *a: 1 / 0); sys.setprofile(lambda *a: 1 / 0)"),
    _case("gc hook", f"import gc\ndef g(*a):{_LOOP}\ngc.callbacks.append(g)\ngc.collect()", _HANGS),
    _case("gc turned off and abused", "import gc\ngc.disable(); gc.set_threshold(1); gc.unfreeze(); gc.collect()"),
    _case("finalizer that hangs", f"class A:\n  def __del__(self):{_LOOP}\nx = A(); del x", _HANGS),
    _case("finalizer that comes back",
          "class A:\n def __del__(self): globals()['x'] = self\nx = A(); del x; x", (Stop.OK,)),
    _case("weak reference hook",
          f"import weakref\nclass A: pass\ndef f(r):{_LOOP}\na = A(); w = weakref.ref(a, f); del a",
          _HANGS),
    _case("atexit", f"import atexit\ndef f():{_LOOP}\natexit.register(f)\nos._exit(0)", (Stop.CRASH,)),
    _case("atexit, run now", f"import atexit\ndef f():{_LOOP}\natexit.register(f)\natexit._run_exitfuncs()", _HANGS),
    _case("audit hook", "sys.addaudithook(lambda *a: 1 / 0)"),
    _case("codec hook", f"import codecs\ndef c(n):{_LOOP}\ncodecs.register(c)\n'x'.encode('evil')", _HANGS),
    _case("codec error hook",
          f"import codecs\ndef c(e):{_LOOP}\ncodecs.register_error('backslashreplace', c)\n'\\ud800'",
          (Stop.OK, Stop.TIMEOUT)),
    _case("import hook",
          f"class F:\n  def find_spec(self, *a):{_LOOP}\nsys.meta_path.insert(0, F())\nimport not_there", _HANGS),
    _case("import path", "open('numpy.py', 'w').write('breach(1)')\nsys.path.insert(0, '.')\nimport numpy; numpy.pi"),
    _case("exception and display hooks", f"def h(*a):{_LOOP}\nsys.excepthook = sys.displayhook = h\n1"),
    _case("traceback tampered",
          "import traceback, linecache\ntraceback.TracebackException = None; linecache.cache = None\n1/0"),
    _case("frames climbed", "f = sys._getframe()\nwhile f: f.f_locals.clear(); f = f.f_back"),
    _case("recursion limit", "sys.setrecursionlimit(50)\nimport json\nprint(json.dumps([[[1]]]))"),
    _case("switch interval", "sys.setswitchinterval(10**6)", (Stop.OK,)),
    _case("hostile pickle", """
import pickle
class P:
    def __reduce__(self): return os.system, ('true',)
if pickle.loads(pickle.dumps(P())) == 0 and sys.platform == 'linux' and CONTAINED: breach('ran')"""),
    _case("pickle bomb", "import pickle\npickle.loads(b'(' * 10**7)", (Stop.ERROR, Stop.MEMORY, Stop.TIMEOUT)),
    _case("a final answer that is swallowed",
          "try: final_answer(1)\nexcept BaseException: pass\nwhile True: pass", _HANGS),
    _case("a final answer that hangs", f"class A:\n  def __repr__(self):{_LOOP}\nfinal_answer(A())", _HANGS),
    _case("generators left running",
          "def g():\n try: yield\n finally:\n  while True: pass\nx = g(); next(x); del x", _HANGS),
    _case("null byte in the source", "exec('x = 1\\x00')", (Stop.ERROR,)),
    _case("signal handlers left behind", "signal.signal(signal.SIGALRM, lambda *a: None)\n"
          "signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)"),
    _case("wakeup descriptor", "a, b = os.pipe(); os.set_blocking(b, False); signal.set_wakeup_fd(b)"),
    _case("fault handler",
          "import faulthandler\nfaulthandler.enable(open('f', 'w')); faulthandler._sigsegv()", (Stop.CRASH, Stop.OK)),
]  # fmt: skip
