"""System calls that have no place in a node, by number."""

from __future__ import annotations

from ..types import Stop
from . import Case

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


CASES = [
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
