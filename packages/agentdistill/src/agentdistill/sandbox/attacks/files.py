"""Files, descriptors, the network, and the scratch folder."""

from __future__ import annotations

from ..types import Stop
from . import Case

CASES = [
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
