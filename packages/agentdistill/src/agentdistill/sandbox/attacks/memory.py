"""Memory, and work that grows faster than its text."""

from __future__ import annotations

from ..types import Stop
from . import Case

_FULL = (Stop.MEMORY, Stop.TIMEOUT, Stop.CRASH)
_LONG = (Stop.TIMEOUT, Stop.MEMORY, Stop.ERROR)

CASES = [
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
