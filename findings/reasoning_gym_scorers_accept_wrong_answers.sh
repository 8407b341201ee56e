#!/bin/sh
# reasoning-gym: scorers that give wrong answers the full score of 1, and the right one less. Any text is right for
# game_of_life_halting; "nan" for complex_arithmetic, a list of NaN for number_sorting; for coin_flip whatever begins with
# the digits of the gold answer; for puzzle24 a sum of other numbers than those given; for gsm_symbolic whatever has the
# gold answer's digits first, -70 for 70 and 70/7, while its own negative gold answers and "1,200" for 1200 are wrong.
# Installs reasoning-gym, one of whose libraries is compiled by a C compiler. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q reasoning-gym==0.1.25 setuptools
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys
import warnings
from importlib.metadata import version

import reasoning_gym

warnings.simplefilter("ignore")
as_told = []


def scored(name, answer_of, right, wanted=lambda entry: True, size=400):
    """The score of the first entry that is wanted, for the answer made of it."""
    dataset = reasoning_gym.create_dataset(name, seed=42, size=size)
    entry = next(e for e in (dataset[i] for i in range(size)) if wanted(e))
    answer = answer_of(entry["answer"])
    score = dataset.score_answer(answer, entry)
    as_told.append((score == 1.0) != right)
    print(f"{name}: gold answer {entry['answer']!r}, answer {answer!r}: score {score:g}")


print(f"reasoning-gym {version('reasoning-gym')}")
print("Wrong answers:")
scored("game_of_life_halting", lambda gold: "no idea", False)
scored("game_of_life_halting", lambda gold: str(gold != "True"), False)
scored("complex_arithmetic", lambda gold: "nan", False)
scored("number_sorting", lambda gold: "[" + ", ".join(["NaN"] * (gold.count(",") + 1)) + "]", False)
scored("coin_flip", lambda gold: gold + "9", False, lambda e: len(e["answer"]) < 6 and e["answer"] < "0.9")
scored("puzzle24", lambda gold: "8 + 2 + 10 + 4", False, lambda e: "10" not in e["question"].split("24")[0])
scored("gsm_symbolic", lambda gold: f"-{gold}", False)
scored("gsm_symbolic", lambda gold: f"{gold}/7", False)
print("Right answers:")
scored("gsm_symbolic", lambda gold: gold, True, lambda e: e["answer"].startswith("-"), size=5000)
scored("gsm_symbolic", lambda gold: f"{int(gold):,}", True, lambda e: e["answer"].isdigit() and len(e["answer"]) == 4)
sys.exit(0 if all(as_told) else 1)
PY
