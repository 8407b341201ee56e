"""Hostile cells, by what they go for: `system` for the kernel's side, `interpreter` for Python's and the host's."""

from __future__ import annotations

from dataclasses import dataclass

from agentdistill.sandbox import Stop

ENDED = (Stop.OK, Stop.ERROR, Stop.TIMEOUT, Stop.CPU, Stop.MEMORY, Stop.OUTPUT, Stop.SCRATCH, Stop.TOOLS, Stop.CRASH,
         Stop.FORGED)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """One attack: `code` runs after PRELUDE and calls `breach` if it gets what it should not.

    stops: the outcomes that count as contained. weak: also to be run in the weak mode, where only what the attack does
    to its own process is contained. fork_after: fork the attacked state afterwards, whatever it has become.
    """

    name: str
    code: str
    stops: tuple[Stop, ...] = ENDED
    weak: bool = False
    fork_after: bool = False
    wall_s: float = 0.2


PRELUDE = """
import ctypes, errno, os, signal, sys, time
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
def breach(what):
    print("BREACH:", what)
def must_fail(work, what):
    try:
        got = work()
    except Exception as problem:
        print(type(problem).__name__, problem)
    else:
        breach(f"{what}: {got!r}")
def raw(name, *args):
    if name in NR:
        result = _libc.syscall(ctypes.c_long(NR[name]), *[ctypes.c_long(arg) for arg in args])
        return result, ctypes.get_errno()
    return -1, errno.ENOSYS
def refused(*names, args=(0, 0, 0, 0, 0, 0)):
    for name in names:
        result, number = raw(name, *args)
        if result != -1 or number not in (errno.EPERM, errno.ENOSYS):
            breach(f"{name} gave {result}, errno {number}")
def frame(kind, fields):
    import struct
    body = b"".join(fields)
    payload = struct.pack(f"!B{len(fields)}I", len(fields), *map(len, fields)) + body
    return struct.pack("!BI", kind, len(payload)) + payload
def forged(text=b"forged"):
    import struct
    return frame(11, [struct.pack("!BBIdQ", 0, 0, 0, 0.0, 0), text, b"", b"", b"", b"", b""])
"""

# Numbers on x86-64 and aarch64 of calls that a node may not make (-1: there is none), for raw use.
_NUMBERS = """
socket 41 198|connect 42 203|bind 49 200|sendmsg 46 211|sendmmsg 307 269|clone 56 220|fork 57 -1|vfork 58 -1
execve 59 221|wait4 61 260|kill 62 129|semget 64 190|msgget 68 186|shmget 29 194|ptrace 101 117|syslog 103 116
setuid 105 146|setgid 106 144|setpgid 109 154|setsid 112 157|setgroups 116 159|setresuid 117 147|capset 126 91
rt_sigqueueinfo 129 138|personality 135 92|setpriority 141 140|sched_setscheduler 144 119|mlockall 151 230
modify_ldt 154 -1|pivot_root 155 41|prctl 157 167|arch_prctl 158 -1|setrlimit 160 164|chroot 161 51|acct 163 89
settimeofday 164 170|mount 165 40|umount2 166 39|swapon 167 224|reboot 169 142|sethostname 170 161|iopl 172 -1
ioperm 173 -1|init_module 175 105|quotactl 179 60|tkill 200 130|sched_setaffinity 203 122|timer_create 222 107
clock_settime 227 112|tgkill 234 131|kexec_load 246 104|waitid 247 95|add_key 248 217|keyctl 250 219|ioprio_set 251 30
inotify_init1 294 26|mknodat 259 33|linkat 265 37|symlinkat 266 36|unshare 272 97|splice 275 76|vmsplice 278 75
timerfd_create 283 85|signalfd4 289 74|rt_tgsigqueueinfo 297 240|perf_event_open 298 241|fanotify_init 300 262
prlimit64 302 261|name_to_handle_at 303 264|open_by_handle_at 304 265|setns 308 268|process_vm_readv 310 270
process_vm_writev 311 271|kcmp 312 272|finit_module 313 273|seccomp 317 277|memfd_create 319 279|bpf 321 280
execveat 322 281|userfaultfd 323 282|pkey_alloc 330 289|pidfd_send_signal 424 424|io_uring_setup 425 425
open_tree 428 428|move_mount 429 429|fsopen 430 430|pidfd_open 434 434|clone3 435 435|openat2 437 437
pidfd_getfd 438 438|mount_setattr 442 442|landlock_create_ruleset 444 444|memfd_secret 447 447|mmap 9 222
"""


def numbers(column: int) -> dict[str, int]:
    """System call numbers of one architecture: column 0 is x86-64, 1 aarch64."""
    entries = [entry.split() for entry in _NUMBERS.replace("\n", "|").strip("|").split("|")]
    return {name: int(both[column]) for name, *both in entries if int(both[column]) >= 0}
