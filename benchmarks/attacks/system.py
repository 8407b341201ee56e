"""Attacks on what the kernel holds: system calls, files, the network, memory, processes and signals."""

from __future__ import annotations

from agentdistill.sandbox import Stop

from . import Case

_FULL = (Stop.MEMORY, Stop.TIMEOUT, Stop.CRASH)
_LONG = (Stop.TIMEOUT, Stop.MEMORY, Stop.ERROR)
_LATE, _DEAD = (Stop.TIMEOUT,), (Stop.CRASH,)
_MACHINE_CODE = """
import mmap, platform
if platform.machine() != 'x86_64': os._exit(1)
page = _libc.mmap
page.restype = ctypes.c_void_p
at = page(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
ctypes.memmove(at, bytes.fromhex('{code}'), {size})
answer = ctypes.CFUNCTYPE(ctypes.c_int)(at)()
if answer > 0: breach(answer)"""


def _run(code: str) -> str:
    return _MACHINE_CODE.format(code=code, size=len(code) // 2)


# System calls that have no place in a node, by number.
CALLS = [
    Case("calls of another ABI: x32", """
import platform
if platform.machine() != 'x86_64': os._exit(1)
answer = _libc.syscall(ctypes.c_long(0x40000000 | 39))
if answer > 0: breach(answer)""", (Stop.CRASH,)),
    Case("calls of another ABI: int 0x80", _run("b814000000cd80c3"), (Stop.CRASH,)),
    Case("privileged instruction", _run("f4c3"), (Stop.CRASH,)),
    Case("namespaces and mounts", """
refused('unshare', 'setns', 'mount', 'umount2', 'pivot_root', 'chroot', 'open_tree', 'move_mount', 'fsopen')
refused('mount_setattr')"""),
    Case("kernel machinery", """
refused('bpf', 'userfaultfd', 'io_uring_setup', 'perf_event_open', 'keyctl', 'add_key', 'init_module', 'finit_module')
refused('kexec_load', 'syslog', 'personality', 'modify_ldt', 'ioperm', 'iopl', 'pkey_alloc', 'quotactl', 'acct')"""),
    Case("clock, name, swap, restart", """
refused('settimeofday', 'clock_settime', 'sethostname', 'swapon', 'reboot')"""),
    Case("users and capabilities", """
refused('setuid', 'setgid', 'setgroups', 'setresuid', 'capset')
must_fail(lambda: os.setuid(0), 'setuid')"""),
    Case("lifting the lockdown", "refused('prctl', 'arch_prctl', 'seccomp', 'landlock_create_ruleset')"),
    Case("watching and timers", """
refused('inotify_init1', 'fanotify_init', 'timerfd_create', 'timer_create', 'signalfd4')"""),
    Case("moving pages between files", "refused('splice', 'vmsplice')"),
    Case("files by handle", "refused('name_to_handle_at', 'open_by_handle_at', 'openat2')"),
    Case("every number there is", """
allowed = 0
# 335 and 336 belong to the kernel's own return probes: called from elsewhere they end the process, filter or not.
for number in [n for n in range(600) if n not in (*SAFE, 335, 336)]:
    result = _libc.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6)
    if result != -1 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS): allowed += 1
if allowed: breach(allowed)""", (Stop.OK,)),
]  # fmt: skip

# Files, descriptors, the network, and the scratch folder.
FILES = [
    Case("reading the host's files", """
for path in ('/etc/passwd', '/etc/shadow', '/etc/hostname', '/root/.bashrc', '/var/log/dpkg.log', '/sys/kernel/notes'):
    must_fail(lambda: open(path, 'rb').read(), path)"""),
    Case("reading the host's secret", "must_fail(lambda: open(CANARY['file']).read(), 'secret')"),
    Case("changing the host's file", """
for mode in ('w', 'a', 'r+'): must_fail(lambda: open(CANARY['file'], mode), mode)
for work in (os.unlink, os.rmdir): must_fail(lambda: work(CANARY['file']), 'unlink')
must_fail(lambda: os.rename(CANARY['file'], 'mine'), 'rename')
must_fail(lambda: os.truncate(CANARY['file'], 0), 'truncate')
os.utime(CANARY['file']); os.utime(CANARY['file'], (0, 0))
os.chmod(CANARY['file'], 0); os.chmod(os.path.dirname(CANARY['file']), 0o777)"""),
    Case("reading processes", """
for path in ('/proc/self/environ', '/proc/self/mem', '/proc/1/cmdline', f'/proc/{os.getppid()}/maps', '/proc/version'):
    must_fail(lambda: open(path, 'rb').read(10), path)
must_fail(lambda: os.listdir('/proc/self/fd'), 'fd')"""),
    Case("the environment", """
if any('CANARY' in word or 'TOKEN' in word for word in os.environ): breach(dict(os.environ))"""),
    Case("devices", """
for path in ('/dev/mem', '/dev/kmsg', '/dev/tty', '/dev/vda', '/dev/sda', '/dev/shm/x', '/dev/ptmx', '/dev/fuse'):
    must_fail(lambda: open(path, 'r+b'), path)"""),
    Case("writing outside scratch", """
lib = os.path.dirname(os.__file__)
for path in ('/tmp/x', '/x', '/var/tmp/x', '/dev/shm/x', '/home/x', '../x', '../../x', lib + '/x'):
    must_fail(lambda: open(path, 'w'), path)
    must_fail(lambda: os.mkdir(path), path)"""),
    Case("writing the libraries", """
import numpy
for file in (os.__file__, numpy.__file__, sys.executable):
    must_fail(lambda: open(file, 'r+b'), file)
    must_fail(lambda: os.unlink(file), file)"""),
    Case("reading through numpy", """
import numpy
must_fail(lambda: numpy.fromfile('/etc/passwd', 'u1'), 'fromfile')
must_fail(lambda: numpy.memmap('/etc/passwd', 'u1', 'r'), 'memmap')
must_fail(lambda: numpy.load(CANARY['file'], allow_pickle=True), 'load')"""),
    Case("code through sympy", """
import sympy
must_fail(lambda: sympy.sympify(f"open({CANARY['file']!r}).read()"), 'sympify')"""),
    Case("files by ctypes", """
fd = _libc.open(b'/etc/passwd', 0)
if fd >= 0: breach(os.read(fd, 10))"""),
    Case("listing other states", """
must_fail(lambda: os.listdir('..'), 'list')
must_fail(lambda: os.scandir('/scratch'), 'scan')"""),
    Case("links", """
must_fail(lambda: os.symlink('/etc/passwd', 'l'), 'symlink')
must_fail(lambda: os.link(os.__file__, 'h'), 'link')
refused('symlinkat', 'linkat')"""),
    Case("pipes, sockets and devices in scratch", """
must_fail(lambda: os.mkfifo('p'), 'mkfifo')
must_fail(lambda: os.mknod('d', 0o20666, os.makedev(1, 1)), 'mknod')
refused('mknodat')"""),
    Case("out of the root", """
must_fail(lambda: os.chroot('.'), 'chroot')
os.chdir('/')
for _ in range(20): os.chdir('..')
must_fail(lambda: open('etc/passwd').read(), 'passwd')"""),
    Case("sockets of every kind", """
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, 16, 17, 38, 40):
    for kind in (1, 2, 3): must_fail(lambda: socket.socket(family, kind), 'socket')
refused('socket', 'connect', 'bind', 'sendmsg', 'sendmmsg')"""),
    Case("connecting to the host", """
import socket
must_fail(lambda: socket.create_connection(('127.0.0.1', CANARY['port']), 0.2), 'tcp')"""),
    Case("fetching a page", """
import urllib.request
must_fail(lambda: urllib.request.urlopen('http://127.0.0.1:80'), 'http')"""),
    Case("serving", "import http.server\nmust_fail(lambda: http.server.HTTPServer(('', 0), None), 'server')"),
    Case("sending a descriptor to the host", """
import socket, array
line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(3))
rights = array.array('i', [0, 1, 2])
must_fail(lambda: line.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)]), 'rights')"""),
    Case("all the descriptors", """
held = []
try:
    while True: held.append(os.open('.', os.O_RDONLY))
except OSError as problem: print(len(held), problem)
if len(held) > 1000: breach(len(held))""", weak=True),
    Case("descriptors that were left open", """
for fd in range(4, 2000):
    try: kind = os.fstat(fd).st_mode >> 12
    except OSError: continue
    if kind != 8 or fd > 10: breach((fd, kind))"""),
    Case("terminal and devices by ioctl", """
import fcntl
for request in (0x5412, 0x541C, 0x5415, 0x1268, 0x8905):
    must_fail(lambda: fcntl.ioctl(3, request, b'x' * 64), 'ioctl')"""),
    Case("one large file", """
with open('big', 'wb') as file:
    while True: file.write(bytes(1 << 20))""", (Stop.ERROR, Stop.SCRATCH, Stop.TIMEOUT, Stop.CRASH), wall_s=2.0),
    Case("a sparse file", "must_fail(lambda: open('s', 'wb').truncate(1 << 40), 'truncate')", weak=True),
    Case("many files", """
for n in range(10**9):
    with open(f'f{n}', 'wb') as file: file.write(bytes(1 << 16))""",
         (Stop.SCRATCH, Stop.ERROR, Stop.TIMEOUT), wall_s=2.0),
    Case("many empty files", "for n in range(10**9): os.close(os.open(f'e{n}', os.O_CREAT))",
         (Stop.SCRATCH, Stop.ERROR, Stop.TIMEOUT), wall_s=2.0),
    Case("folders without a floor", """
for _ in range(3000):
    os.mkdir('d'); os.chdir('d')""", (Stop.OK, Stop.SCRATCH, Stop.ERROR, Stop.TIMEOUT), wall_s=2.0, fork_after=True),
    Case("folders that cannot be opened", """
os.mkdir('shut', 0); os.close(os.open('file', os.O_CREAT, 0))
os.chmod('.', 0); os.umask(0o777); os.mkdir('umask')""", (Stop.OK, Stop.ERROR), fork_after=True),
    Case("names with odd bytes", r"""
for name in (b'\xff\xfe', b'a\nb', b'-rf', b'$(id)', 'ü'.encode(), b'x' * 255): os.close(os.open(name, os.O_CREAT))""",
         fork_after=True),
    Case("the folder removed", "os.rmdir(os.getcwd())\nprint(os.path.exists('.'))", fork_after=True),
    Case("the folder renamed", "os.rename(os.getcwd(), os.path.dirname(os.getcwd()) + '/mine')", fork_after=True),
    Case("filling scratch between orders", """
open('a', 'wb').write(b'x' * 10**6)
os.write(3, forged())
while True:
    for n in range(10**9): open(f'n{n}', 'wb').write(bytes(10**6))""", fork_after=True),
    Case("racing the copy of scratch", """
for n in range(50): open(f'r{n}', 'wb').write(b'x' * 10**4)
os.write(3, forged())
while True:
    os.rename('r0', 'moved'); os.mkdir('r0'); os.rmdir('r0'); os.rename('moved', 'r0')""", fork_after=True),
    Case("reaching the state it was forked from", """
must_fail(lambda: open(parent_folder + '/note', 'a'), 'append to the parent')
must_fail(lambda: os.listdir(parent_folder), 'list the parent')"""),
    Case("an open file of the state it was forked from", "handle.write('scribble'); handle.flush()", (Stop.OK,)),
]  # fmt: skip

# Memory, and work that grows faster than its text.
MEMORY = [
    Case("heap bomb", "x = b'x'\nwhile True: x += x", _FULL, weak=True, wall_s=2.0),
    Case("heap bomb that swallows MemoryError", """
x = []
while True:
    try:
        while True: x.append(bytearray(10**7))
    except MemoryError: pass""", _LONG, weak=True),
    Case("many small objects", "x = []\nwhile True: x.append([0] * 1000)", _FULL, weak=True, wall_s=3.0),
    Case("one huge array", "import numpy\nnumpy.ones(10**12)", (Stop.MEMORY, Stop.ERROR), weak=True),
    Case("many arrays", "import numpy\nx = [numpy.ones(10**6) for _ in range(10**4)]", _FULL, weak=True, wall_s=2.0),
    Case("anonymous mapping", "import mmap\nmust_fail(lambda: mmap.mmap(-1, 1 << 40), 'mmap')"),
    Case("memory shared with forks", "import mmap\nmust_fail(lambda: mmap.mmap(-1, 4096), 'shared mapping')"),
    Case("shared mapping of a scratch file", """
open('m', 'wb').write(b'x' * 4096)
import numpy
must_fail(lambda: numpy.memmap('m', mode='r+'), 'memmap')"""),
    Case("memory without a file", "refused('memfd_create', 'memfd_secret', args=(0, 0))"),
    Case("System V memory, queues, semaphores", "refused('shmget', 'msgget', 'semget', args=(0, 4096, 0o1666))"),
    Case("locked memory", "refused('mlockall', args=(3,))"),
    Case("limits raised", """
import resource
for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
    must_fail(lambda: resource.setrlimit(kind, (-1, -1)), 'setrlimit')
refused('setrlimit', args=(9, 0))
limits = ctypes.create_string_buffer(16)
refused('prlimit64', args=(0, 9, ctypes.addressof(limits), 0))
refused('prlimit64', args=(os.getppid(), 9, ctypes.addressof(limits), 0))"""),
    Case("huge power", "x = 7 ** 7 ** 9", _LONG, weak=True),
    Case("power in one C call", "len(bin(7 ** (3 * 10**7)))", (*_LONG, Stop.OK), weak=True),
    Case("factorial", "import math\nmath.factorial(10**8)", _LONG, weak=True),
    Case("integer to string", "str(10 ** 5000)", (Stop.ERROR,), weak=True),
    Case("integer to string without its limit", "sys.set_int_max_str_digits(0)\nstr(7 ** 10**7)", _LONG, weak=True),
    Case("decimal precision", """
import decimal
decimal.getcontext().prec = decimal.MAX_PREC
decimal.Decimal(2).sqrt()""", _LONG, weak=True),
    Case("regular expression that backtracks", "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
         (Stop.TIMEOUT,), weak=True),
    Case("symbolic blowup", """
import sympy
x, y, z = sympy.symbols('x y z')
sympy.expand((x + y + z) ** 400)""", _LONG, weak=True),
    Case("decompression bomb", """
import zlib
data = zlib.compress(b'0' * 10**7)
x = [zlib.decompress(data) for _ in range(10**4)]""", _FULL, weak=True, wall_s=2.0),
    Case("format width", "'{:>{w}}'.format(1, w=10**11)", (Stop.MEMORY, Stop.ERROR), weak=True),
    Case("bytes of a hash collision", "{(2**61 - 1) * k: 0 for k in range(10**5)}", _LONG, weak=True),
    Case("deep source", "exec('(' * 10**5 + ')' * 10**5)", (Stop.ERROR, Stop.MEMORY, Stop.CRASH), weak=True),
    Case("deep syntax tree", "eval('-' * 10**5 + '1')", (Stop.ERROR, Stop.MEMORY, Stop.CRASH), weak=True),
    Case("long source", "exec('x = 1\\n' * 10**6)", (Stop.OK, *_FULL), weak=True, wall_s=3.0),
]  # fmt: skip

# Time, processes, signals and the end of the process.
PROCESSES = [
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

CASES = [*CALLS, *FILES, *MEMORY, *PROCESSES]
