#!/bin/sh
# A GGUF file that lies in the folder of a LoRA adapter cannot be loaded by transformers: it finds the
# adapter_config.json beside the file, takes the folder for an adapter of a base without a name of its own, and ends in a
# TypeError that names neither. In an empty folder the same file loads.
# Installs torch (CPU is enough), transformers, gguf, peft. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0 peft==0.21.2
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import gguf
import numpy as np
import transformers
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

writer = gguf.GGUFWriter("tiny.gguf", "llama")
writer.add_context_length(64), writer.add_embedding_length(32), writer.add_block_count(1)
writer.add_feed_forward_length(64), writer.add_head_count(2), writer.add_head_count_kv(2)
writer.add_layer_norm_rms_eps(1e-5), writer.add_rope_dimension_count(16), writer.add_vocab_size(96)
shapes = {
    "token_embd": (96, 32), "output_norm": (32,), "blk.0.attn_norm": (32,), "blk.0.ffn_norm": (32,),
    "blk.0.attn_q": (32, 32), "blk.0.attn_k": (32, 32), "blk.0.attn_v": (32, 32), "blk.0.attn_output": (32, 32),
    "blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64),
}
for name, shape in shapes.items():
    writer.add_tensor(f"{name}.weight", np.random.default_rng(0).normal(size=shape).astype(np.float32))
writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()

print(f"transformers {transformers.__version__}")
config = AutoConfig.from_pretrained(".", gguf_file="tiny.gguf")
AutoModelForCausalLM.from_pretrained(".", gguf_file="tiny.gguf", config=config)
print("alone: loaded")
adapter = LoraConfig(base_model_name_or_path="tiny.gguf", target_modules=["q_proj"], task_type="CAUSAL_LM")
get_peft_model(AutoModelForCausalLM.from_config(config), adapter).save_pretrained(".", save_embedding_layers=False)
try:
    AutoModelForCausalLM.from_pretrained(".", gguf_file="tiny.gguf", config=config)
    print("beside adapter_config.json: loaded")
except TypeError as e:
    print(f"beside adapter_config.json: {type(e).__name__}: {e}")
    sys.exit(0)
sys.exit(1)
PY
