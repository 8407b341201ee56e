"""The four mathematical families: word problems, the same with larger numbers, with more steps, and number theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tinyworld.names import word

MATH_FAMILIES = ("word", "large", "steps", "theory")


@dataclass(frozen=True, slots=True)
class MathQuestion:
    """A problem with its plan (one sentence), worked lines for a chain of thought, and the program that solves it."""

    family: str
    text: str
    answer: str
    plan: str
    lines: tuple[str, ...]
    code: tuple[str, ...]
    key: str


Op = tuple[str, int]
_SIGN = {"add": "+", "take": "-", "times": "*", "split": "//"}
_PLAN = {"add": "add {n}", "take": "take away {n}", "times": "multiply by {n}", "split": "divide by {n}"}
_ITEMS = ("coins", "shells", "books", "apples", "cards", "stones", "eggs", "nails", "pens", "beads")
_BOXES = ("boxes", "bags", "crates", "jars", "shelves", "carts")


def _apply(value: int, op: Op) -> int:
    name, n = op
    return {"add": value + n, "take": value - n, "times": value * n, "split": value // n}[name]


def _solution(start: int, ops: list[Op]) -> tuple[str, tuple[str, ...], tuple[str, ...], int]:
    """Plan, worked lines, program and answer of a start value changed by ``ops``."""
    value, lines, code = start, [], [f"x = {start}"]
    for op in ops:
        after = _apply(value, op)
        sign = "/" if op[0] == "split" else _SIGN[op[0]]
        lines.append(f"{value} {sign} {op[1]} = {after}")
        code.append(f"x = x {_SIGN[op[0]]} {op[1]}")
        value = after
    plan = f"Start with {start}, " + ", then ".join(_PLAN[o].format(n=n) for o, n in ops) + "."
    return plan, tuple(lines), tuple(code), value


def _number(rng: Random, large: bool, small: tuple[int, int]) -> int:
    if not large:
        return rng.randint(*small)
    return rng.randint(100, 10 ** rng.choice((3, 4, 4, 5)) - 1)


def _boxes(rng: Random, big: bool) -> tuple[str, int, list[Op]]:
    who, item, box = word(rng), rng.choice(_ITEMS), rng.choice(_BOXES)
    n, each = rng.randint(2, 9) if not big else rng.randint(12, 999), _number(rng, big, (2, 9))
    k = _number(rng, big, (2, 20)) if not big else rng.randint(100, n * each)
    k = min(k, n * each - 1)
    if rng.random() < 0.5:
        text = rng.choice((
            "{w} has {n} {b} with {e} {i} in each. {w} gives away {k} {i}. How many {i} are left?",
            "There are {e} {i} in each of {n} {b}. {w} takes {k} of the {i}. How many {i} remain?",
        ))  # fmt: skip
        ops: list[Op] = [("times", n), ("take", k)]
    else:
        text = rng.choice((
            "{w} fills {n} {b} with {e} {i} each and has {k} {i} more. How many {i} does {w} have?",
            "Each of the {n} {b} of {w} holds {e} {i}. Then {k} {i} come in. How many {i} are there now?",
        ))  # fmt: skip
        ops = [("times", n), ("add", k)]
    return text.format(w=who, n=n, b=box, e=each, i=item, k=k), each, ops


def _share(rng: Random, big: bool) -> tuple[str, int, list[Op]]:
    who, item = word(rng), rng.choice(_ITEMS)
    m, each = rng.randint(2, 9) if not big else rng.randint(11, 99), _number(rng, big, (2, 9))
    more = rng.randint(1, m * each - 1 if big else min(20, m * each - 1))
    a = m * each - more
    text = rng.choice((
        "{w} has {a} {i} and finds {c} more. They are shared by {m} friends. How many {i} does each get?",
        "{a} {i} and another {c} {i} are put into {m} equal heaps by {w}. How many {i} are in a heap?",
    )).format(w=who, a=a, c=more, m=m, i=item)  # fmt: skip
    return text, a, [("add", more), ("split", m)]


def _trade(rng: Random, big: bool) -> tuple[str, int, list[Op]]:
    who, item = word(rng), rng.choice(_ITEMS)
    a, b = _number(rng, big, (5, 50)), _number(rng, big, (2, 20))
    c = rng.randint(1, a + b - 1 if big else min(20, a + b - 1))
    text = rng.choice((
        "{w} has {a} {i}, buys {b} and sells {c}. How many {i} does {w} have now?",
        "On the first day {w} counts {a} {i}. {b} come on the second day and {c} go on the third. How many are there then?",
        "{w} owns {a} {i}. A friend brings {b} {i}, and {c} get lost. How many {i} stay?",
    )).format(w=who, a=a, b=b, c=c, i=item)  # fmt: skip
    return text, a, [("add", b), ("take", c)]


def _price(rng: Random, big: bool) -> tuple[str, int, list[Op]]:
    who, item = word(rng), rng.choice(_ITEMS)
    p, n = _number(rng, big, (2, 9)), rng.randint(2, 9) if not big else rng.randint(12, 999)
    text = rng.choice((
        "{i} cost {p} each. {w} buys {n} and pays {k} for the way. What does {w} pay in all?",
        "For {n} {i} at {p} each, with {k} for the bag, how much does {w} pay?",
    ))  # fmt: skip
    k = _number(rng, big, (2, 20))
    return text.format(i=item, p=p, n=n, k=k, w=who), p, [("times", n), ("add", k)]


_STORIES = (_boxes, _share, _trade, _price)
_EVENTS: dict[str, tuple[str, ...]] = {
    "add": ("{n} more come in", "a friend brings {n}", "{n} are found"),
    "take": ("{n} are lost", "{n} are sold", "{n} go to a friend"),
    "times": ("the number grows {n} times", "each turns into {n}"),
    "split": ("only one part in {n} is kept", "they are shared by {n} and one share stays"),
}


def _events(rng: Random, n_events: int) -> tuple[str, int, list[Op]]:
    who, item = word(rng), rng.choice(_ITEMS)
    start = value = rng.randint(5, 60)
    ops: list[Op] = []
    for _ in range(n_events):
        divisors = [d for d in range(2, 10) if value % d == 0 and 1 < value // d < 10]
        names = ["add", "add", "take", *(["times"] if value < 10 else []), *(["split"] * 2 if divisors else [])]
        name = rng.choice(names)
        n = {
            "add": rng.randint(2, 20), "take": rng.randint(1, max(1, min(20, value - 1))),
            "times": rng.randint(2, 9), "split": rng.choice(divisors) if divisors else 1,
        }[name]  # fmt: skip
        ops.append((name, n))
        value = _apply(value, ops[-1])
    events = [rng.choice(_EVENTS[o]).format(n=n) for o, n in ops]
    told = ". Then ".join(events)
    text = f"{who} has {start} {item}. First {told}. How many {item} does {who} have at the end?"
    return text, start, ops


def _story_question(rng: Random, family: str) -> MathQuestion:
    if family == "steps":
        text, start, ops = _events(rng, rng.randint(4, 6))
    elif family == "word" and rng.random() < 0.5:
        text, start, ops = _events(rng, rng.randint(1, 3))
    else:
        text, start, ops = rng.choice(_STORIES)(rng, family == "large")
    plan, lines, code, value = _solution(start, ops)
    return MathQuestion(family, text, str(value), plan, lines, code, f"{family}:{text}")


_Theory = tuple[str, str, tuple[str, ...], tuple[str, ...], int]


def _gcd(rng: Random) -> _Theory:
    g = rng.randint(2, 12)
    a, b = g * rng.randint(2, 15), g * rng.randint(2, 15)
    ask = rng.choice(
        (
            "What is the greatest common divisor of {a} and {b}?",
            "Which is the largest number that divides both {a} and {b}?",
        )
    )
    v = math.gcd(a, b)
    return (
        ask.format(a=a, b=b),
        f"Find the gcd of {a} and {b}.",
        (f"gcd({a}, {b}) = {v}",),
        ("import math", f"x = math.gcd({a}, {b})"),
        v,
    )


def _lcm(rng: Random) -> _Theory:
    a, b = rng.randint(2, 30), rng.randint(2, 30)
    ask = rng.choice(
        (
            "What is the least common multiple of {a} and {b}?",
            "Which is the smallest number that both {a} and {b} divide?",
        )
    )
    v = math.lcm(a, b)
    return (
        ask.format(a=a, b=b),
        f"Find the lcm of {a} and {b}.",
        (f"lcm({a}, {b}) = {v}",),
        ("import math", f"x = math.lcm({a}, {b})"),
        v,
    )


def _remainder(rng: Random) -> _Theory:
    a, b, m = rng.randint(3, 40), rng.randint(3, 40), rng.randint(3, 12)
    ask = rng.choice(
        (
            "What is the remainder of {a} times {b} divided by {m}?",
            "Divide the product of {a} and {b} by {m}. What is left over?",
        )
    )
    v = a * b % m
    return (ask.format(a=a, b=b, m=m), f"Multiply {a} by {b}, then take the remainder by {m}.",
            (f"{a} * {b} = {a * b}", f"{a * b} % {m} = {v}"), (f"x = {a} * {b} % {m}",), v)  # fmt: skip


def _linear(rng: Random) -> _Theory:
    a, x, b = rng.randint(2, 15), rng.randint(2, 40), rng.randint(1, 90)
    c = a * x + b
    ask = rng.choice(("Solve {a} x + {b} = {c} for x.", "A number times {a}, plus {b}, gives {c}. What is the number?"))
    return (ask.format(a=a, b=b, c=c), f"Take {b} from {c}, then divide by {a}.",
            (f"{c} - {b} = {c - b}", f"{c - b} / {a} = {x}"), (f"x = ({c} - {b}) // {a}",), x)  # fmt: skip


def _digits(rng: Random) -> _Theory:
    n = rng.randint(100, 99999)
    v = sum(map(int, str(n)))
    ask = rng.choice(("What is the sum of the digits of {n}?", "Add up the digits of {n}. What do you get?"))
    return (
        ask.format(n=n),
        f"Add the digits of {n}.",
        (" + ".join(str(n)) + f" = {v}",),
        (f'x = sum(int(d) for d in "{n}")',),
        v,
    )


def _divisors(rng: Random) -> _Theory:
    n = rng.randint(6, 90)
    ds = [d for d in range(1, n + 1) if n % d == 0]
    ask = rng.choice(("How many numbers divide {n}?", "How many divisors has {n}?"))
    return (ask.format(n=n), f"Count the divisors of {n}.", ("Divisors: " + " ".join(map(str, ds)), f"count = {len(ds)}"),
            (f"x = sum({n} % d == 0 for d in range(1, {n} + 1))",), len(ds))  # fmt: skip


def _sum_to(rng: Random) -> _Theory:
    n = rng.randint(5, 60)
    ask = rng.choice(
        ("What is the sum of all whole numbers from 1 to {n}?", "Add 1, 2, 3 and so on up to {n}. What is the total?")
    )
    v = n * (n + 1) // 2
    return (ask.format(n=n), f"Add the numbers from 1 to {n}.", (f"{n} * {n + 1} = {n * (n + 1)}", f"{n * (n + 1)} / 2 = {v}"),
            (f"x = sum(range(1, {n} + 1))",), v)  # fmt: skip


def _two_numbers(rng: Random) -> _Theory:
    b = rng.randint(2, 60)
    a = b + rng.randint(1, 50)
    s, d = a + b, a - b
    ask = rng.choice(
        (
            "Two numbers have sum {s} and difference {d}. What is the larger?",
            "The sum of two numbers is {s} and they are {d} apart. Which is the larger?",
        )
    )
    return (ask.format(s=s, d=d), f"Add {s} and {d}, then halve.", (f"{s} + {d} = {s + d}", f"{s + d} / 2 = {a}"),
            (f"x = ({s} + {d}) // 2",), a)  # fmt: skip


_THEORY: tuple[Callable[[Random], _Theory], ...] = (
    _gcd,
    _lcm,
    _remainder,
    _linear,
    _digits,
    _divisors,
    _sum_to,
    _two_numbers,
)


def math_question(rng: Random, family: str) -> MathQuestion:
    """A random problem of one of :data:`MATH_FAMILIES`."""
    if family != "theory":
        return _story_question(rng, family)
    text, plan, lines, code, value = rng.choice(_THEORY)(rng)
    return MathQuestion(family, text, str(value), plan, lines, code, f"theory:{text}")
