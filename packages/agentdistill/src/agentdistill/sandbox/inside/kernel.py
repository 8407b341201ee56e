"""Raw system calls of Linux through ctypes, on x86-64 and aarch64. No compiled code of ours, no helper binaries."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys

MACHINE = platform.machine()
_COLUMN = {"x86_64": 0, "aarch64": 1}.get(MACHINE)
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}.get(MACHINE, 0)

# Name: number on x86-64, number on aarch64 (-1: there is none). From 424 on the numbers are the same everywhere.
_TABLE = """
read 0 63|write 1 64|open 2 -1|close 3 57|stat 4 -1|fstat 5 80|lstat 6 -1|poll 7 -1|lseek 8 62|mmap 9 222
mprotect 10 226|munmap 11 215|brk 12 214|rt_sigaction 13 134|rt_sigprocmask 14 135|rt_sigreturn 15 139|ioctl 16 29
pread64 17 67|pwrite64 18 68|readv 19 65|writev 20 66|access 21 -1|pipe 22 -1|select 23 -1|sched_yield 24 124
mremap 25 216|msync 26 227|madvise 28 233|dup 32 23|dup2 33 -1|pause 34 -1|nanosleep 35 101|getitimer 36 102
alarm 37 -1|setitimer 38 103|getpid 39 172|sendto 44 206|recvfrom 45 207|recvmsg 47 212|shutdown 48 210
getsockname 51 204|getpeername 52 205|socketpair 53 199|getsockopt 55 209|clone 56 220|fork 57 -1|vfork 58 -1
execve 59 221|exit 60 93|kill 62 129|uname 63 160|fcntl 72 25|flock 73 32|fsync 74 82|fdatasync 75 83|truncate 76 45
ftruncate 77 46|getcwd 79 17|chdir 80 49|fchdir 81 50|rename 82 -1|mkdir 83 -1|rmdir 84 -1|creat 85 -1|unlink 87 -1
readlink 89 -1|chmod 90 -1|fchmod 91 52|umask 95 166|gettimeofday 96 169|getrlimit 97 163|getrusage 98 165
sysinfo 99 179|times 100 153|getuid 102 174|getgid 104 176|geteuid 107 175|getegid 108 177|getppid 110 173
getpgrp 111 -1|getgroups 115 158|getresuid 118 148|getresgid 120 150|getpgid 121 155|getsid 124 156|sigaltstack 131 132
statfs 137 43|fstatfs 138 44|pivot_root 155 41|prctl 157 167|mount 165 40|umount2 166 39|gettid 186 178
readahead 187 213|time 201 -1|futex 202 98|sched_getaffinity 204 123|getdents64 217 61|fadvise64 221 223
clock_gettime 228 113|clock_getres 229 114|clock_nanosleep 230 115|exit_group 231 94|epoll_wait 232 -1|epoll_ctl 233 21
tgkill 234 131|utimes 235 -1|openat 257 56|mkdirat 258 34|newfstatat 262 79|unlinkat 263 35|renameat 264 38
readlinkat 267 78|fchmodat 268 53|faccessat 269 48|pselect6 270 72|ppoll 271 73|unshare 272 97|set_robust_list 273 99
utimensat 280 88|epoll_pwait 281 22|fallocate 285 47|eventfd2 290 19|epoll_create1 291 20|dup3 292 24|pipe2 293 59
preadv 295 69|pwritev 296 70|prlimit64 302 261|getcpu 309 168|renameat2 316 276|seccomp 317 277|getrandom 318 278
memfd_create 319 279|copy_file_range 326 285|preadv2 327 286|pwritev2 328 287|statx 332 291|rseq 334 293|capset 126 91
pidfd_open 434 434|clone3 435 435|close_range 436 436|faccessat2 439 439|epoll_pwait2 441 441|mount_setattr 442 442
landlock_create_ruleset 444 444|landlock_add_rule 445 445|landlock_restrict_self 446 446|fchmodat2 452 452
"""
NUMBERS: dict[str, int] = {}
for _entry in _TABLE.replace("\n", "|").strip("|").split("|"):
    _name, *_columns = _entry.split()
    if _COLUMN is not None and int(_columns[_COLUMN]) >= 0:
        NUMBERS[_name] = int(_columns[_COLUMN])

CLONE_PARENT, SIGCHLD = 0x8000, 17
FORK_FLAGS = CLONE_PARENT | SIGCHLD
NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38

# PyDLL keeps the interpreter lock: a raw clone must not let another thread in between.
if sys.platform == "linux":
    _syscall = ctypes.PyDLL(None, use_errno=True).syscall
    _syscall.restype = ctypes.c_long
    _syscall.argtypes = [ctypes.c_long] * 7


def supported() -> bool:
    """True on Linux on a machine whose system call numbers are known here."""
    return sys.platform == "linux" and _COLUMN is not None


def call(name: str, *args: int) -> int:
    """Result of a system call; raises OSError. Pointers are passed as addresses."""
    padded = (*args, 0, 0, 0, 0, 0, 0)[:6]
    result = int(_syscall(NUMBERS[name], *padded))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prctl(option: int, *args: int) -> int:
    """As prctl(2); raises OSError."""
    return call("prctl", option, *args)


def text(value: str | None) -> tuple[int, object]:
    """Address of a C string, and the object that must outlive its use. None gives the null pointer."""
    if value is None:
        return 0, None
    buffer = ctypes.create_string_buffer(os.fsencode(value))
    return ctypes.addressof(buffer), buffer


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """As mount(2); raises OSError."""
    kept = [text(source), text(target), text(kind), text(data)]
    call("mount", kept[0][0], kept[1][0], kept[2][0], flags, kept[3][0])


def sibling() -> int:
    """Fork this process as a child of its own parent; 0 in the child.

    A raw clone runs none of Python's fork hooks: nothing reseeds `random`, and no lock is touched, which is safe
    because a node has one thread only.
    """
    return call("clone", FORK_FLAGS)


def drop_capabilities() -> None:
    """Empty every capability set of this process."""
    for number in range(64):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # past the last one, or not allowed to: the sets below are what counts
            continue
    header = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0))
    empty = ctypes.create_string_buffer(24)
    call("capset", ctypes.addressof(header), ctypes.addressof(empty))
