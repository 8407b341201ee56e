"""Time, processes, signals and the end of the process."""

from __future__ import annotations

from ..types import Stop
from . import Case

_LATE, _DEAD = (Stop.TIMEOUT,), (Stop.CRASH,)

CASES = [
    Case("loop", "while True: pass", _LATE, weak=True),
    Case("loop that swallows everything", "while True:\n try:\n  while True: pass\n except BaseException: pass", _LATE,
         weak=True),
    Case("loop with signals ignored", """
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
while True: pass""", _LATE, weak=True),
    Case("loop in C", "sum(range(10**12))", _LATE, weak=True),
    Case("sleep", "time.sleep(1000)", _LATE, weak=True),
    Case("timer taken away", "signal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass", _LATE, weak=True),
    Case("pause", "signal.setitimer(signal.ITIMER_REAL, 0)\nsignal.pause()", (Stop.TIMEOUT, Stop.ERROR), weak=True),
    Case("stopping oneself", "must_fail(lambda: os.kill(os.getpid(), signal.SIGSTOP), 'SIGSTOP')"),
    Case("fork", "must_fail(os.fork, 'fork')"),
    Case("fork bomb", """
for _ in range(200):
    try:
        if os.fork() == 0: os._exit(0)
        breach('fork')
    except OSError: pass"""),
    Case("vfork and fork, raw", "refused('fork', 'vfork')"),
    Case("clone3", "refused('clone3', args=(ctypes.addressof(ctypes.create_string_buffer(88)), 88))"),
    Case("clone through the gate without an order", """
result, number = raw('clone', 0x8011, 0, 0, 0, 0)
if result == 0: os._exit(0)
if result != -1: breach('forked')"""),
    Case("clone of namespaces", """
for flag in (0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80, 0x2000000):
    refused('clone', args=(flag | 17, 0, 0, 0, 0))
    refused('unshare', args=(flag,))"""),
    Case("clone of threads, raw", "refused('clone', args=(0x100 | 0x200 | 0x400 | 0x800 | 0x10000, 0, 0, 0, 0))"),
    Case("thread bomb", """
import threading
for _ in range(100): must_fail(threading.Thread(target=time.sleep, args=(1,)).start, 'thread')"""),
    Case("threads by the low-level module", """
import _thread
must_fail(lambda: _thread.start_new_thread(print, ()), 'thread')"""),
    Case("thread pool", """
from concurrent.futures import ThreadPoolExecutor
must_fail(lambda: ThreadPoolExecutor(4).submit(int).result(), 'pool')"""),
    Case("process pool", "import multiprocessing\nmust_fail(lambda: multiprocessing.Pool(2), 'pool')", wall_s=1.0),
    Case("subprocess", "import subprocess\nmust_fail(lambda: subprocess.run(['/bin/true']), 'run')"),
    Case("system", "if os.system('true') == 0: breach('system')"),
    Case("posix_spawn", "must_fail(lambda: os.posix_spawn('/bin/true', ['true'], {}), 'spawn')"),
    Case("exec", "must_fail(lambda: os.execv(sys.executable, ['python']), 'exec')"),
    Case("exec, raw", "refused('execve', 'execveat')"),
    Case("kill of the parent", "must_fail(lambda: os.kill(os.getppid(), 9), 'kill')"),
    Case("signal to process 1", "must_fail(lambda: os.kill(1, 0), 'kill')"),
    Case("signal to everyone", "must_fail(lambda: os.kill(-1, 0), 'kill')"),
    Case("signal to the group", "must_fail(lambda: os.kill(0, 0), 'kill')"),
    Case("kill of a process of the host", "must_fail(lambda: os.kill(CANARY['pid'], 9), 'kill')"),
    Case("kill by other calls", """
refused('tkill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo', args=(CANARY['pid'], 9, 9))
refused('pidfd_open', args=(CANARY['pid'], 0))
refused('pidfd_send_signal', 'pidfd_getfd', args=(3, 0, 0))"""),
    Case("signal by the owner of a descriptor", """
import fcntl
must_fail(lambda: fcntl.fcntl(3, 8, CANARY['pid']), 'F_SETOWN')
must_fail(lambda: fcntl.fcntl(3, 10, 9), 'F_SETSIG')"""),
    Case("debugging the parent", """
refused('ptrace', args=(16, os.getppid(), 0, 0))
refused('process_vm_readv', 'process_vm_writev', 'kcmp', args=(os.getppid(), 0, 0, 0, 0, 0))"""),
    Case("reaping what is not mine", "refused('wait4', 'waitid', args=(-1, 0, 1, 0))"),
    Case("leaving the session", "refused('setsid', 'setpgid')"),
    Case("priority", """
refused('setpriority', args=(0, 0, -20))
refused('sched_setscheduler', 'sched_setaffinity', 'ioprio_set')
must_fail(lambda: os.nice(-5), 'nice')"""),
    Case("_exit", "os._exit(0)", _DEAD, weak=True),
    Case("abort", "os.abort()", _DEAD, weak=True),
    Case("segmentation fault", "ctypes.string_at(1)", _DEAD, weak=True),
    Case("segmentation fault with a handler", """
signal.signal(signal.SIGSEGV, signal.SIG_IGN)
ctypes.string_at(1)""", (Stop.CRASH, Stop.TIMEOUT), weak=True),
    Case("alarm with the default action", """
signal.signal(signal.SIGALRM, signal.SIG_DFL)
signal.setitimer(signal.ITIMER_REAL, 0.01)
time.sleep(10)""", _DEAD, weak=True),
    Case("deep recursion", "def f(): return f()\nf()", (Stop.ERROR,), weak=True),
    Case("overflow of the C stack", """
sys.setrecursionlimit(10**9)
x = []
for _ in range(10**6): x = [x]
repr(x)""", (Stop.CRASH, Stop.ERROR, Stop.MEMORY, Stop.TIMEOUT), weak=True, wall_s=3.0),
    Case("overflow of the C stack by classes", """
sys.setrecursionlimit(10**9)
class A:
    def __getattr__(self, name): return getattr(self, name + 'x')
A().a""", (Stop.CRASH, Stop.ERROR, Stop.TIMEOUT, Stop.MEMORY), weak=True, wall_s=2.0),
    Case("SystemExit", "sys.exit(3)", (Stop.ERROR,), weak=True),
    Case("KeyboardInterrupt", "raise KeyboardInterrupt", (Stop.ERROR,), weak=True),
    Case("an exception of its own kind", "class Evil(BaseException): pass\nraise Evil('x')", (Stop.ERROR,), weak=True),
]  # fmt: skip
