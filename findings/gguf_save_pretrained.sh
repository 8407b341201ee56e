#!/bin/sh
# A model that transformers has loaded from a GGUF file cannot be saved, though every parameter is a plain bfloat16
# tensor: for most architectures weights are dequantised in any case, but the model still counts as "quantized with
# gguf". The same model loaded with GgufConfig(dequantize=True) is saved; neither the error nor the warnings say so.
# Installs torch (CPU is enough), transformers, gguf. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import gguf
import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM, GgufConfig

writer = gguf.GGUFWriter("tiny.gguf", "llama")
writer.add_context_length(64), writer.add_embedding_length(32), writer.add_block_count(1)
writer.add_feed_forward_length(64), writer.add_head_count(2), writer.add_head_count_kv(2)
writer.add_layer_norm_rms_eps(1e-5), writer.add_rope_dimension_count(16), writer.add_vocab_size(96)
shapes = {
    "token_embd": (96, 32), "blk.0.attn_q": (32, 32), "blk.0.attn_k": (32, 32), "blk.0.attn_v": (32, 32),
    "blk.0.attn_output": (32, 32), "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
}
kind = gguf.GGMLQuantizationType.Q8_0
for name, shape in shapes.items():
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    writer.add_tensor(f"{name}.weight", gguf.quants.quantize(values, kind), raw_dtype=kind)
for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
    writer.add_tensor(f"{name}.weight", np.ones(32, np.float32))
writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()

print(f"transformers {transformers.__version__}")
refused = 0
for how, settings in (("as it is", {}), ("dequantized", {"quantization_config": GgufConfig(dequantize=True)})):
    model = AutoModelForCausalLM.from_pretrained(".", gguf_file="tiny.gguf", dtype=torch.bfloat16, **settings)
    kinds = {(type(p).__name__, str(p.dtype)) for p in model.parameters()}
    try:
        model.save_pretrained("saved")
        print(f"{how}: parameters {kinds}, saved")
    except ValueError as e:
        refused += 1
        print(f"{how}: parameters {kinds}, save_pretrained raises ValueError: {e}")
sys.exit(0 if refused == 1 else 1)
PY
