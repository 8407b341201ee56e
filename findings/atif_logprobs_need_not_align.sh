#!/bin/sh
# ATIF says of a step's log-probabilities that they align with its completion token ids, one each. Its Pydantic models
# accept lists of different lengths, and a schema_version that does not exist, so a document that they have validated
# does not tell which token a log-probability belongs to. Whoever trains on them compares the lengths first. Installs
# atif (pydantic). Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q atif==1.8.0 pydantic==2.14.4
cat > "$folder/read.py" <<'PY'
from importlib.metadata import version

from atif import Trajectory
from atif.metrics import Metrics

print(f"atif {version('atif')}: logprobs: {Metrics.model_fields['logprobs'].description}")
metrics = {"completion_token_ids": [11, 12, 13], "logprobs": [-0.1, -0.2]}
steps = [
    {"step_id": 1, "source": "user", "message": "What is 6 * 7?"},
    {"step_id": 2, "source": "agent", "message": "42", "metrics": metrics},
]
document = {"schema_version": "ATIF-v99", "agent": {"name": "example", "version": "1"}, "steps": steps}
read = Trajectory.model_validate(document)
kept = read.steps[1].metrics
print(f"accepted: {read.schema_version}, {len(kept.completion_token_ids)} ids, {len(kept.logprobs)} log-probabilities")
assert len(kept.completion_token_ids) == 3 and len(kept.logprobs) == 2
PY
"$folder/venv/bin/python" "$folder/read.py"
