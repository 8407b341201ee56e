#!/bin/sh
# datasets: in a JSONL column that holds numbers and strings, strings that read as JSON are decoded, so that the answer
# "007" of one row comes as the number 7 because of another row's number. A column whose strings are all ISO dates comes
# as timestamps. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q datasets==5.2.0
cd "$folder"
HF_HOME="$folder/home" HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PY'
import json
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import datasets

datasets.disable_progress_bars()
print(f"datasets {version('datasets')}")


def column(name, answers):
    Path(name).write_text("".join(json.dumps({"answer": a}) + "\n" for a in answers))
    read = datasets.load_dataset("json", data_files=name, split="train")
    print(f"{answers} -> {list(read['answer'])} {read.features['answer']}")
    return list(read["answer"])


strings = column("strings.jsonl", ["007", "7"])
mixed = column("mixed.jsonl", ["007", "true", 7])
dates = column("dates.jsonl", ["2021-01-01", "2020-01-01"])
changed = mixed[0] == 7 and mixed[1] is True and all(isinstance(d, datetime) for d in dates)
sys.exit(0 if changed and strings == ["007", "7"] else 1)
PY
