#!/bin/sh
# transformers loads a GGUF file of a model with scaled rotary embeddings without a word, and without the scaling:
# "llama.rope.scaling.*" (linear, YaRN) and the tensor "rope_freqs.weight" (Llama 3.1 and later) change nothing, and
# heads of another width than a family's usual one ("qwen3.attention.key_length") are not looked at: the config
# says 128, and the weights of the file do not fit.
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
from transformers import AutoConfig, AutoModelForCausalLM


def write(name, arch="llama", scaling=None, factors=None):
    writer = gguf.GGUFWriter(name, arch)
    writer.add_context_length(64), writer.add_embedding_length(32), writer.add_block_count(1)
    writer.add_feed_forward_length(64), writer.add_head_count(2), writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5), writer.add_rope_dimension_count(16), writer.add_vocab_size(96)
    writer.add_key_length(16), writer.add_value_length(16), writer.add_rope_freq_base(10000.0)
    if scaling:
        writer.add_rope_scaling_type(scaling), writer.add_rope_scaling_factor(4.0)
    if factors is not None:
        writer.add_tensor("rope_freqs.weight", factors)
    shapes = {
        "token_embd": (96, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,),
        "blk.0.attn_q": (32, 32), "blk.0.attn_k": (32, 32), "blk.0.attn_v": (32, 32), "blk.0.attn_output": (32, 32),
        "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
    }
    if arch == "qwen3":
        shapes |= {"blk.0.attn_q_norm": (16,), "blk.0.attn_k_norm": (16,)}
    rng = np.random.default_rng(0)
    for key, shape in shapes.items():
        writer.add_tensor(f"{key}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()


def logits(name):
    model = AutoModelForCausalLM.from_pretrained(".", gguf_file=name, dtype=torch.float32)
    with torch.no_grad():
        return model.config.rope_parameters, model(torch.arange(40)[None]).logits


print(f"transformers {transformers.__version__}")
write("plain.gguf")
write("linear.gguf", scaling=gguf.RopeScalingType.LINEAR)
write("yarn.gguf", scaling=gguf.RopeScalingType.YARN)
write("llama3.gguf", factors=np.linspace(1, 8, 8, dtype=np.float32))
rope, wanted = logits("plain.gguf")
same = 0
for name in ("linear.gguf", "yarn.gguf", "llama3.gguf"):
    found_rope, found = logits(name)
    same += torch.equal(found, wanted)
    print(f"{name}: config {found_rope}, logits as without scaling: {torch.equal(found, wanted)}")
write("heads.gguf", arch="qwen3")
head = AutoConfig.from_pretrained(".", gguf_file="heads.gguf").head_dim
print(f"heads.gguf: heads of 16 numbers, the config says {head}")
sys.exit(0 if same == 3 and head == 128 else 1)
PY
