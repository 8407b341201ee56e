#!/bin/sh
# transformers computes the last position's logits from hidden_states[:, -1:, :], a view with gaps. On CPU, a linear layer
# whose weight does not require a gradient multiplies such a view row by row, with a copy of the whole weight for every
# row: a head of 49,152 x 576 in bfloat16 takes hundreds of times as long for a batch of 64 as for the same rows made
# contiguous. With requires_grad=True on the very same weight, the view is as quick. So freezing a model for inference,
# as servers and adapters do, makes the first token of a batch take seconds.
# Installs torch (CPU is enough). Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 numpy
"$folder/venv/bin/python" - <<'PY'
import sys
import time

import torch

hidden = torch.randn(64, 16, 576).bfloat16()
head = torch.nn.Linear(576, 49152, bias=False).bfloat16()
view = hidden[:, -1:, :]


def seconds(rows, frozen):
    """CPU time of one call of the head, the second one."""
    head.requires_grad_(not frozen)
    with torch.inference_mode():
        head(rows)
        start = time.process_time()
        head(rows)
        return time.process_time() - start


times = {
    "frozen weight, view": seconds(view, True),
    "frozen weight, contiguous": seconds(view.contiguous(), True),
    "weight that learns, view": seconds(view, False),
}
print(f"torch {torch.__version__}, batch 64, head 49,152 x 576 in bfloat16, CPU seconds of one call")
for name, taken in times.items():
    print(f"{name}: {taken:.3f}")
slow, *others = times.values()
sys.exit(0 if slow > 10 * max(others) else 1)
PY
