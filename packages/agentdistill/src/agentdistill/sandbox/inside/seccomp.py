"""The system calls a node may make, as two BPF programs: the fork gate, and the list of everything else.

The gate is a filter of its own whose only decision is to ask the broker about a fork. It goes in first, because its
listener must be handed to the broker by a call the list no longer allows. Of two filters the stricter answer holds.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import kernel

ALLOW, NOTIFY, KILL, ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
DENY = ERRNO | errno.EPERM
_LOAD, _EQUAL, _AT_LEAST, _BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_X32 = 0x40000000
_NR, _ARCH, _ARGS = 0, 4, 16

_NAMES = """
read write open close stat fstat lstat poll lseek mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64
pwrite64 readv writev access pipe select sched_yield mremap msync madvise dup dup2 pause nanosleep getitimer alarm
setitimer getpid recvfrom recvmsg shutdown getsockname getpeername getsockopt exit uname flock fsync fdatasync
ftruncate getcwd chdir fchdir rename mkdir rmdir creat unlink readlink umask gettimeofday getrlimit getrusage sysinfo
times getuid getgid geteuid getegid getppid getpgrp getgroups getresuid getresgid getpgid getsid sigaltstack statfs
fstatfs gettid readahead time futex sched_getaffinity getdents64 fadvise64 clock_gettime clock_getres clock_nanosleep
exit_group epoll_wait epoll_ctl openat mkdirat newfstatat unlinkat renameat readlinkat faccessat pselect6 ppoll
set_robust_list epoll_pwait fallocate eventfd2 epoll_create1 dup3 pipe2 preadv pwritev getcpu renameat2 getrandom
copy_file_range preadv2 pwritev2 statx rseq close_range faccessat2 epoll_pwait2
"""
_PLAIN = tuple(_NAMES.split())
# Accepted and ignored, for shutil and zipfile call them: Landlock guards neither, so a node could change
# those of any file of its user's, or lock the broker out of a folder. (truncate by path is not allowed for the like.)
_IGNORED = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utimes", "utimensat")
# glibc takes ENOSYS as "try the older call".
_ABSENT = ("clone3",)
_IOCTLS = (
    0x5401,
    0x5413,
    0x541B,
    0x5421,
    0x5450,
    0x5451,
)  # terminal, bytes waiting, flags of a descriptor
_FCNTLS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # duplicates, flags, locks; no owners, signals or leases

_Code = list[tuple[int, int, int, int]]


def _op(code: int, value: int, yes: int = 0, no: int = 0) -> tuple[int, int, int, int]:
    return code, yes, no, value & 0xFFFFFFFF


def _low(arg: int) -> int:
    return _ARGS + 8 * arg


def _one_of(arg: int, values: tuple[int, ...]) -> _Code:
    code = [_op(_LOAD, _low(arg))]
    for value in values:
        code += [_op(_EQUAL, value, 0, 1), _op(_RETURN, ALLOW)]
    return [*code, _op(_RETURN, DENY)]


def _zero(*args: int) -> _Code:
    code: _Code = []
    for arg in args:
        for half in (_low(arg), _low(arg) + 4):
            code += [_op(_LOAD, half), _op(_EQUAL, 0, 1, 0), _op(_RETURN, DENY)]
    return [*code, _op(_RETURN, ALLOW)]


def _conditions() -> dict[str, _Code]:
    """Calls whose arguments decide; each block ends in a return. Pointers cannot be looked at, only compared."""
    unshared = [_op(_LOAD, _low(3)), _op(_BIT, 1, 0, 1), _op(_RETURN, DENY), _op(_RETURN, ALLOW)]
    return {
        # A mapping shared with files or children would let a fork reach into the state it came from.
        "mmap": unshared,
        "clone": _one_of(0, (kernel.FORK_FLAGS,)),
        "ioctl": _one_of(1, _IOCTLS),
        "fcntl": _one_of(1, _FCNTLS),
        "prlimit64": _zero(2),  # reading limits, not setting them
        "sendto": _zero(4),  # on a connected socket, to no address
        "socketpair": _one_of(0, (1,)),  # AF_UNIX: asyncio wants one for itself
    }


def _prologue() -> _Code:
    code = [_op(_LOAD, _ARCH), _op(_EQUAL, kernel.AUDIT_ARCH, 1, 0), _op(_RETURN, KILL), _op(_LOAD, _NR)]
    if kernel.MACHINE == "x86_64":
        code += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, KILL)]
    return code


def program(*, forks: bool = True) -> _Code:
    """The allowlist; anything not named gets EPERM."""
    code = _prologue()
    numbers = kernel.NUMBERS
    for name in _PLAIN:
        if name in numbers:
            code += [_op(_EQUAL, numbers[name], 0, 1), _op(_RETURN, ALLOW)]
    for names, answer in ((_IGNORED, ERRNO), (_ABSENT, ERRNO | errno.ENOSYS)):
        for name in names:
            if name in numbers:
                code += [_op(_EQUAL, numbers[name], 0, 1), _op(_RETURN, answer)]
    for name, block in _conditions().items():
        if name != "clone" or forks:
            code += [_op(_EQUAL, numbers[name], 0, len(block)), *block]
    return [*code, _op(_RETURN, DENY)]


def allowed() -> set[int]:
    """Numbers of the calls that are answered without a look at their arguments."""
    return {kernel.NUMBERS[name] for name in (*_PLAIN, *_IGNORED) if name in kernel.NUMBERS}


def gate() -> _Code:
    """Ask the listener about the one form of clone that the list allows; everything else is the list's business."""
    asked = [_op(_LOAD, _low(0)), _op(_EQUAL, kernel.FORK_FLAGS, 0, 1), _op(_RETURN, NOTIFY)]
    return [*_prologue(), _op(_EQUAL, kernel.NUMBERS["clone"], 0, len(asked)), *asked, _op(_RETURN, ALLOW)]


def install(code: _Code, *, listen: bool = False) -> int:
    """Put a filter on this process, for good; returns the listener's descriptor, or 0. Raises OSError."""
    packed = b"".join(struct.pack("HBBI", *op) for op in code)
    body = ctypes.create_string_buffer(packed)
    program_ = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(body)))
    set_filter, new_listener = 1, 8
    return kernel.call("seccomp", set_filter, new_listener if listen else 0, ctypes.addressof(program_))


def has_notify() -> bool:
    """True where the kernel can ask a listener about a call and let it go on."""
    try:
        action = ctypes.create_string_buffer(struct.pack("I", NOTIFY))
        kernel.call("seccomp", 2, 0, ctypes.addressof(action))  # SECCOMP_GET_ACTION_AVAIL
        return True
    except OSError:
        return False
