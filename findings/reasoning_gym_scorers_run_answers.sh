#!/bin/sh
# reasoning-gym: nine scorers run the answer that they are to score as Python code, five of them through sympy's
# parse_expr. A model that is trained or tested with them can write files, or do anything else that the process may.
# The answer below creates a file and scores nothing. Installs reasoning-gym, one of whose libraries is compiled by a C
# compiler. Ends with status 0 while this is so.
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
from pathlib import Path

import reasoning_gym

warnings.simplefilter("ignore")
names = (
    "binary_matrix", "n_queens", "spiral_matrix", "string_insertion",
    "countdown", "intermediate_integration", "polynomial_multiplication", "puzzle24", "simple_integration",
)
print(f"reasoning-gym {version('reasoning-gym')}")
n_run = 0
for name in names:
    dataset = reasoning_gym.create_dataset(name, seed=42, size=1)
    made = Path(f"made_while_scoring_{name}")
    answer = f"__import__('pathlib').Path('{made}').touch()"
    score = dataset.score_answer(answer, dataset[0])
    n_run += made.exists()
    print(f"{name}: score {score}, the answer was run: {made.exists()}")
sys.exit(0 if n_run == len(names) else 1)
PY
