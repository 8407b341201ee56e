#!/bin/sh
# reasoning-gym: gold answers that are not what the questions ask for. basic_arithmetic divides without a remainder, and
# without parentheses also computes from left to right; calendar_arithmetic counts business days over the end of the year
# but asks as if both dates were in one year; time_intervals cuts milliseconds off a float; gsm_symbolic cuts amounts of
# money off a float, too, and half a tube of paint. Installs reasoning-gym, one of whose libraries is compiled by a C
# compiler. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q reasoning-gym==0.1.25 setuptools
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import re
import sys
import warnings
from fractions import Fraction as F
from importlib.metadata import version

import reasoning_gym

warnings.simplefilter("ignore")
wrong = {}


def check(what, name, size, value_of, **settings):
    """Compares each gold answer with its value by ``value_of``, which gives None for what it does not know."""
    found, n = [], 0
    for entry in reasoning_gym.create_dataset(name, seed=42, size=size, **settings):
        value = value_of(entry)
        if value is not None:
            n += 1
            if value != entry["answer"]:
                found.append((entry["question"], entry["answer"], value))
    wrong[what] = len(found)
    print(f"{what}: {len(found)} of {n} gold answers are wrong")
    if found:
        question, gold, value = min(found, key=lambda f: len(f[0]))
        print(f"    {question}\n    gold {gold}, right {value}")


def arithmetic(entry):
    formula = re.sub(r"\d+", lambda m: f"F({m[0]})", entry["metadata"]["expression"])
    try:
        return str(eval(formula, {"F": F}))
    except ZeroDivisionError:
        return None


def milliseconds(entry):
    times = re.findall(r"(\d\d):(\d\d):(\d\d)\.(\d{3})", entry["question"])
    first, last = (((int(h) * 60 + int(m)) * 60 + int(s)) * 1000 + int(ms) for h, m, s, ms in times[:2])
    d = last - first
    return f"{d // 3600000:02}:{d // 60000 % 60:02}:{d // 1000 % 60:02}.{d % 1000:03}"


def one_year(entry):
    end = entry["metadata"]["end_date"]
    return entry["answer"] if end[:4] == "2022" else f"none: the second date was meant to be {end}"


def word_problem(entry):
    money = re.search(r"has .(\d+\.\d\d) and wants to buy (\d+) .*costs .(\d+\.\d\d)\.", entry["question"])
    tubes = re.search(r"(\d+) tubes .* and (\d+) tubes .*half as many .*three times as many", entry["question"])
    if money:
        value = F(money[1]) - int(money[2]) * F(money[3])
    elif tubes:
        value = F(tubes[1]) / 2 + 3 * int(tubes[2])
    else:
        return None
    return entry["answer"] if value == F(entry["answer"]) else str(float(value))


print(f"reasoning-gym {version('reasoning-gym')}")
check("basic_arithmetic", "basic_arithmetic", 2000, arithmetic)
check("basic_arithmetic, no parentheses", "basic_arithmetic", 1000, arithmetic, allow_parentheses=False)
check("calendar_arithmetic, business days", "calendar_arithmetic", 1000, one_year, tasks=["count_business_days"])
check("time_intervals, milliseconds", "time_intervals", 1000, milliseconds, task_types=["time_ms"])
check("gsm_symbolic, two of its 85 templates", "gsm_symbolic", 5000, word_problem)
sys.exit(0 if all(wrong.values()) else 1)
PY
