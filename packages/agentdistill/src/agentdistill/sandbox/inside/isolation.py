"""What confines a node: namespaces, a root file system, resource limits, Landlock, seccomp.

The template applies it to itself before it serves, and every fork inherits it. Raw system calls through ctypes, for
Linux on x86-64 and aarch64: no compiled code of ours, no helper binaries.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import errno
import os
import platform
import resource
import secrets
import struct
import sys
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

globals()["__builtins__"] = dict(vars(builtins))  # see wire.py

SCRATCH = "/scratch"
N_DESCRIPTORS = 128

# --- system calls ---------------------------------------------------------------------------------------------------

# Name, number on x86-64, number on aarch64 (-1: there is none). From 424 on the numbers are the same everywhere.
# First the calls that a node may make whatever the arguments, then those that depend on them or are our own.
_ALLOWED = """
read 0 63  write 1 64  open 2 -1  close 3 57  stat 4 -1  fstat 5 80  lstat 6 -1  poll 7 -1  lseek 8 62
mprotect 10 226  munmap 11 215  brk 12 214  rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139
pread64 17 67  pwrite64 18 68  readv 19 65  writev 20 66  access 21 -1  pipe 22 -1  select 23 -1  sched_yield 24 124
mremap 25 216  msync 26 227  madvise 28 233  dup 32 23  dup2 33 -1  pause 34 -1  nanosleep 35 101  getitimer 36 102
alarm 37 -1  setitimer 38 103  getpid 39 172  recvfrom 45 207  recvmsg 47 212  shutdown 48 210  getsockname 51 204
getpeername 52 205  getsockopt 55 209  exit 60 93  uname 63 160  flock 73 32  fsync 74 82  fdatasync 75 83
ftruncate 77 46  getcwd 79 17  chdir 80 49  fchdir 81 50  rename 82 -1  mkdir 83 -1  rmdir 84 -1  creat 85 -1
unlink 87 -1  readlink 89 -1  umask 95 166  gettimeofday 96 169  getrlimit 97 163  getrusage 98 165  sysinfo 99 179
times 100 153  getuid 102 174  getgid 104 176  geteuid 107 175  getegid 108 177  getppid 110 173  getpgrp 111 -1
getgroups 115 158  getresuid 118 148  getresgid 120 150  getpgid 121 155  getsid 124 156  sigaltstack 131 132
statfs 137 43  fstatfs 138 44  gettid 186 178  readahead 187 213  time 201 -1  futex 202 98  sched_getaffinity 204 123
getdents64 217 61  fadvise64 221 223  clock_gettime 228 113  clock_getres 229 114  clock_nanosleep 230 115
exit_group 231 94  epoll_wait 232 -1  epoll_ctl 233 21  openat 257 56  mkdirat 258 34  newfstatat 262 79
unlinkat 263 35  renameat 264 38  readlinkat 267 78  faccessat 269 48  pselect6 270 72  ppoll 271 73
set_robust_list 273 99  epoll_pwait 281 22  fallocate 285 47  eventfd2 290 19  epoll_create1 291 20  dup3 292 24
pipe2 293 59  preadv 295 69  pwritev 296 70  getcpu 309 168  renameat2 316 276  getrandom 318 278
copy_file_range 326 285  preadv2 327 286  pwritev2 328 287  statx 332 291  rseq 334 293  close_range 436 436
faccessat2 439 439  epoll_pwait2 441 441
"""
_OTHERS = """
mmap 9 222  ioctl 16 29  sendto 44 206  socketpair 53 199  clone 56 220  fcntl 72 25  prlimit64 302 261
chmod 90 -1  fchmod 91 52  fchmodat 268 53  fchmodat2 452 452  utimes 235 -1  utimensat 280 88  clone3 435 435
capset 126 91  mount 165 40  mount_setattr 442 442  pivot_root 155 41  prctl 157 167  seccomp 317 277  umount2 166 39
unshare 272 97  landlock_create_ruleset 444 444  landlock_add_rule 445 445  landlock_restrict_self 446 446
"""


def _numbers(table: str) -> dict[str, int]:
    words = table.split()
    column = words[2 if platform.machine() == "aarch64" else 1 :: 3]
    return {name: int(number) for name, number in zip(words[::3], column, strict=True) if int(number) >= 0}


_PLAIN = _numbers(_ALLOWED)
NUMBERS = _PLAIN | _numbers(_OTHERS)

CLONE_PARENT, SIGCHLD = 0x8000, 17
FORK_FLAGS = CLONE_PARENT | SIGCHLD
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38

# PyDLL keeps the interpreter lock: a raw clone must not let another thread in between.
_syscall = ctypes.PyDLL(None, use_errno=True).syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = [ctypes.c_long] * 7


def call(name: str, *args: int) -> int:
    """Result of a system call; raises OSError. Pointers are passed as addresses."""
    padded = (*args, 0, 0, 0, 0, 0, 0)[:6]
    result = int(_syscall(NUMBERS[name], *padded))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def fork_as_sibling() -> int:
    """Fork this process as a child of its own parent; 0 in the child.

    A raw clone runs none of Python's fork hooks: nothing reseeds `random`, and no lock is touched, which is safe
    because a node has one thread only.
    """
    return call("clone", FORK_FLAGS)


def _text(value: str | None) -> tuple[int, object]:
    """Address of a C string, and the object that must outlive its use. None gives the null pointer."""
    if value is None:
        return 0, None
    buffer = ctypes.create_string_buffer(os.fsencode(value))
    return ctypes.addressof(buffer), buffer


@dataclass
class Layers:
    """What holds and what does not, for the doctor and for `Capabilities`."""

    on: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)

    def attempt(self, name: str, work: Callable[[], Any]) -> bool:
        """Do `work` and note the outcome under `name`."""
        try:
            work()
        except (OSError, ValueError, KeyError) as problem:
            self.off.append(f"{name} ({problem})")
            return False
        self.on.append(name)
        return True


# --- namespaces and a root that holds the Python installation and nothing else --------------------------------------

_BIND, _REC, _PRIVATE, _RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 4096, 16384, 1 << 18, 1, 2, 4, 8, 32
_BASE = "/tmp"  # exists everywhere; only the sandbox sees what is mounted on it


def readable() -> list[str]:
    """Folders and files that Python, its packages and their shared libraries are loaded from."""
    paths = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)}
    paths |= {"/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo", "/etc/ld.so.cache"}
    real = sorted({os.path.realpath(path) for path in paths} | paths)
    kept: list[str] = []
    for path in real:  # sorted: a folder comes before what is inside it
        if os.path.exists(path) and not any(path.startswith(folder.rstrip("/") + "/") for folder in kept):
            kept.append(path)
    return kept


def keep_paths() -> None:
    """Remove from sys.path what lies outside `readable()`, such as the paths of an installed .pth file."""
    tops = tuple(os.path.realpath(path) for path in readable())
    sys.path[:] = [path for path in sys.path if os.path.realpath(path).startswith(tops)]


def enter_namespaces() -> None:
    """Enter new namespaces; the next child is process 1 of its own. Raises OSError where that is not allowed."""
    apart = NEWNS | NEWPID | NEWNET | NEWIPC | NEWUTS
    uid, gid = os.geteuid(), os.getegid()
    try:
        call("unshare", apart)
    except PermissionError:  # not root, or root without the capability: a user namespace gives it
        call("unshare", apart | NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    with contextlib.suppress(OSError):
        import socket

        socket.sethostname("sandbox")


def build_root(scratch_bytes: int) -> None:
    """Make and enter a root file system of the paths of `readable()`, read-only, and a bounded SCRATCH. Raises OSError.

    It has no /proc, no /dev, no /tmp and no home; the old root is unmounted.
    """
    _mount(None, "/", None, _REC | _PRIVATE)
    paths = readable()
    # Opened before _BASE is covered: a path may lie below it.
    held = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC), os.path.isdir(path)) for path in paths]
    links = {path: os.readlink(path) for path in paths if os.path.islink(path)}
    _mount("sandbox", _BASE, "tmpfs", _NOSUID | _NODEV, "size=4m,mode=755")
    for path, fd, folder in held:
        if path not in links:
            _bind(f"/proc/self/fd/{fd}", _BASE + path, folder)
        os.close(fd)
    for path, target in links.items():  # /lib -> usr/lib, /lib64 -> usr/lib64
        os.makedirs(os.path.dirname(_BASE + path), exist_ok=True)
        os.symlink(target, _BASE + path)
    os.mkdir(_BASE + SCRATCH, 0o755)
    bounds = f"size={scratch_bytes},nr_inodes={max(10_000, scratch_bytes >> 12)},mode=700"
    _mount("scratch", _BASE + SCRATCH, "tmpfs", _NOSUID | _NODEV | _NOEXEC, bounds)
    os.chdir(_BASE)
    here, _kept = _text(".")
    call("pivot_root", here, here)
    call("umount2", here, 2)  # detach the old root, which now lies on top of the new one
    os.chdir("/")
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    kept = [_text(source), _text(target), _text(kind), _text(data)]
    call("mount", kept[0][0], kept[1][0], kept[2][0], flags, kept[3][0])


def _bind(source: str, target: str, folder: bool) -> None:
    os.makedirs(target if folder else os.path.dirname(target), mode=0o755, exist_ok=True)
    if not folder:
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(source, target, None, _BIND | _REC)
    name, _kept = _text(target)
    attributes = ctypes.create_string_buffer(struct.pack("QQQQ", 1 | 2 | 4, 0, 0, 0))  # read-only, nosuid, nodev
    at_fdcwd, recursive = -100, 0x8000
    try:
        call("mount_setattr", at_fdcwd, name, recursive, ctypes.addressof(attributes), 32)
    except OSError:  # before Linux 5.12; flags that the mount already has must be kept
        flags = os.statvfs(target).f_flag & (_NOSUID | _NODEV | _NOEXEC | 1024)
        _mount(None, target, None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV | flags)


# --- user and resource limits ---------------------------------------------------------------------------------------


def pick_user() -> int | None:
    """A random high user number, nobody's where high ones are not mapped, None where nothing but root is mapped."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/uid_map") as file:
        most = max(int(line.split()[2]) for line in file)
        return None if most <= 65534 else 65534 if most < 2**31 else 2**30 + secrets.randbelow(2**29)
    return 65534


def change_user(uid: int) -> None:
    """As root, become another user. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_capabilities() -> None:
    """Empty every capability set of this process."""
    for number in range(64):
        with contextlib.suppress(OSError):  # past the last one, or not allowed to: the sets below are what counts
            call("prctl", PR_CAPBSET_DROP, number)
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    empty = ctypes.create_string_buffer(24)
    call("capset", ctypes.addressof(header), ctypes.addressof(empty))


def be_killed_first(proc: int) -> None:
    """When memory runs out, have the kernel kill this process and its forks first. `proc`: a descriptor of /proc."""
    with contextlib.suppress(OSError):
        fd = os.open("self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        os.write(fd, b"1000")
        os.close(fd)


def mapped_bytes(proc: int) -> int:
    """Address space in use. `proc` is a descriptor of /proc, which need not be mounted any more."""
    fd = os.open("self/statm", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    try:
        return int(os.read(fd, 100).split()[0]) * resource.getpagesize()
    finally:
        os.close(fd)


def limit(mapped: int, memory: int, scratch: int, session_cpu: float | None) -> None:
    """Resource limits, soft and hard. `memory` is what may be mapped beyond `mapped` bytes."""
    ceilings = {
        resource.RLIMIT_AS: mapped + memory,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: scratch,
        resource.RLIMIT_NOFILE: N_DESCRIPTORS,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if session_cpu is not None:
        ceilings[resource.RLIMIT_CPU] = int(session_cpu) + 1
    for what, most in ceilings.items():
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))


def _limit_forks() -> None:
    """Without a fork gate: a process limit, which the broker lifts for one order at a time."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (0, hard))
    try:
        if fork_as_sibling() == 0:
            os._exit(0)
    except BlockingIOError:
        return
    raise OSError("process limits do not hold for root")


# --- Landlock: file access, beside the user's own rights; needs no privilege and no mounts ---------------------------

_WRITE, _READ, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = (1 << bit for bit in (1, 2, 3, 4, 5, 7, 8))
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_LOOK = _READ | _READ_DIR
# No links, pipes, sockets or devices: what the broker copies and removes is plain files and folders.
_KEEP = _LOOK | _WRITE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE


def landlock_version() -> int:
    """Version of Landlock that this kernel has; 0 where there is none."""
    try:
        return call("landlock_create_ruleset", 0, 0, 1)
    except OSError:
        return 0


def restrict(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Restrict this process for good to reading `readable` and writing in `writable`; no TCP, no signals to others.

    Paths that do not exist are skipped. Raises OSError; needs NO_NEW_PRIVS.
    """
    version = landlock_version()
    bits = 13 + (version >= 2) + (version >= 3)
    files = (1 << bits) - 1 | (_IOCTL_DEV if version >= 5 else 0)
    net = 3 if version >= 4 else 0  # bind and connect
    scope = 3 if version >= 6 else 0  # abstract sockets, signals to processes outside
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = ctypes.create_string_buffer(struct.pack("QQQ", files, net, scope))
    ruleset = call("landlock_create_ruleset", ctypes.addressof(rules), size, 0)
    try:
        for paths, rights in ((readable, _LOOK), (writable, _KEEP)):
            for path in paths:
                _allow(ruleset, path, rights & files)
        call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _READ | _WRITE | _TRUNCATE
        rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, fd))
        call("landlock_add_rule", ruleset, 1, ctypes.addressof(rule), 0)
    finally:
        os.close(fd)


# --- seccomp: two BPF programs, the fork gate and the list of allowed calls; the stricter answer holds ---------------

ALLOW, NOTIFY, KILL, ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
DENY = ERRNO | errno.EPERM
_LOAD, _EQUAL, _AT_LEAST, _BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_NR, _ARCH, _ARGS = 0, 4, 16
_AUDIT_ARCH = 0xC00000B7 if platform.machine() == "aarch64" else 0xC000003E
# Ignored, with success as the answer, since shutil and zipfile call them: Landlock does not cover them, so a node could
# change mode and times of any file of its user, or lock the broker out of a folder.
_IGNORED = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utimes", "utimensat")
# ENOSYS makes glibc try the older call.
_ABSENT = ("clone3",)
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # terminal, bytes waiting, flags of a descriptor
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # duplicates, flags, locks; no owners, signals or leases

Code = list[tuple[int, int, int, int]]


def op(code: int, value: int, yes: int = 0, no: int = 0) -> tuple[int, int, int, int]:
    """One BPF instruction: `yes` and `no` are how many to skip after a comparison."""
    return code, yes, no, value & 0xFFFFFFFF


def _argument(n: int) -> int:
    """Where the low half of the n-th argument is."""
    return _ARGS + 8 * n


def _one_of(n: int, values: tuple[int, ...]) -> Code:
    code = [op(_LOAD, _argument(n))]
    for value in values:
        code += [op(_EQUAL, value, 0, 1), op(_RETURN, ALLOW)]
    return [*code, op(_RETURN, DENY)]


def _zero(n: int) -> Code:
    code: Code = []
    for half in (_argument(n), _argument(n) + 4):
        code += [op(_LOAD, half), op(_EQUAL, 0, 1, 0), op(_RETURN, DENY)]
    return [*code, op(_RETURN, ALLOW)]


def _conditions() -> dict[str, Code]:
    """Calls whose arguments decide; each block ends in a return. Pointers cannot be looked at, only compared."""
    return {
        # A mapping shared with files or children would let a fork reach into the state it came from.
        "mmap": [op(_LOAD, _argument(3)), op(_BIT, 1, 0, 1), op(_RETURN, DENY), op(_RETURN, ALLOW)],
        "clone": _one_of(0, (FORK_FLAGS,)),
        "ioctl": _one_of(1, _IOCTLS),
        "fcntl": _one_of(1, _FCNTLS),
        "prlimit64": _zero(2),  # reading limits, not setting them
        "sendto": _zero(4),  # on a connected socket, to no address
        "socketpair": _one_of(0, (1,)),  # AF_UNIX: asyncio wants one for itself
    }


def _prologue() -> Code:
    code = [op(_LOAD, _ARCH), op(_EQUAL, _AUDIT_ARCH, 1, 0), op(_RETURN, KILL), op(_LOAD, _NR)]
    if platform.machine() == "x86_64":
        code += [op(_AT_LEAST, _X32, 0, 1), op(_RETURN, KILL)]
    return code


def allowlist() -> Code:
    """The calls that a node may make; anything not named gets EPERM."""
    code = _prologue()
    for names, answer in ((_PLAIN, ALLOW), (_IGNORED, ERRNO), (_ABSENT, ERRNO | errno.ENOSYS)):
        for name in names:
            if name in NUMBERS:
                code += [op(_EQUAL, NUMBERS[name], 0, 1), op(_RETURN, answer)]
    for name, block in _conditions().items():
        code += [op(_EQUAL, NUMBERS[name], 0, len(block)), *block]
    return [*code, op(_RETURN, DENY)]


def allowed_calls() -> set[int]:
    """Numbers of the calls that are answered without a look at their arguments."""
    return {NUMBERS[name] for name in (*_PLAIN, *_IGNORED) if name in NUMBERS}


def fork_gate() -> Code:
    """Ask the listener about the one form of clone that the list allows; leave everything else to the list."""
    asked = [op(_LOAD, _argument(0)), op(_EQUAL, FORK_FLAGS, 0, 1), op(_RETURN, NOTIFY)]
    return [*_prologue(), op(_EQUAL, NUMBERS["clone"], 0, len(asked)), *asked, op(_RETURN, ALLOW)]


def install(code: Code, *, listen: bool = False) -> int:
    """Put a filter on this process, for good; returns the listener's descriptor, or 0. Raises OSError."""
    body = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(body)))
    set_filter, new_listener = 1, 8
    return call("seccomp", set_filter, new_listener if listen else 0, ctypes.addressof(program))


def has_notify() -> bool:
    """True where the kernel can ask a listener about a call and let it go on."""
    action = ctypes.create_string_buffer(struct.pack("I", NOTIFY))
    get_action_avail = 2
    try:
        return call("seccomp", get_action_avail, 0, ctypes.addressof(action)) == 0
    except OSError:
        return False


# --- all of it, in order --------------------------------------------------------------------------------------------


def seal(layers: Layers, scratch: str, readable: list[str], hand_over: Callable[[int], None], *, weak: bool) -> None:
    """Drop every privilege, then apply Landlock, then seccomp, which comes last because it forbids the rest.

    `hand_over` sends the listener of the fork gate to the broker, by a call that the list forbids: so the gate comes
    before the list. Failures are noted in `layers`; the caller decides if enough layers hold.
    """
    call("prctl", PR_SET_DUMPABLE, 0)  # no debugger of the same user, no readable /proc/<pid>
    if weak:
        return
    layers.attempt("no capabilities", drop_capabilities)
    layers.attempt("no new privileges", lambda: call("prctl", PR_SET_NO_NEW_PRIVS, 1))
    layers.attempt(f"landlock {landlock_version()}", lambda: restrict(readable, [scratch]))

    def gate() -> None:
        listener = install(fork_gate(), listen=True)
        hand_over(listener)
        os.close(listener)

    if not layers.attempt("fork gate", gate):
        layers.attempt("fork limit", _limit_forks)
    layers.attempt("seccomp", lambda: install(allowlist()))
