#!/bin/sh
# A GGUF file says whether its SentencePiece vocabulary puts a blank in front of a text ("tokenizer.ggml.
# add_space_prefix"). transformers reads the key and passes over it: with false there, a text still begins with a blank;
# with true, a text that begins with a blank gets no second one, as llama.cpp and SentencePiece give it.
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
import transformers
from transformers import AutoTokenizer

tokens = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256)), "ab", "▁ab", "▁▁", "▁", "a", "b"]
# What llama.cpp makes of them (llama-cpp-python 0.3.36, llama_tokenize), as tokens.
LLAMA_CPP = {False: {"ab": ["ab"], " ab": ["▁ab"]}, True: {"ab": ["▁ab"], " ab": ["▁", "▁ab"]}}
print(f"transformers {transformers.__version__}")
differing = []
for prefix, texts in LLAMA_CPP.items():
    writer = gguf.GGUFWriter("v.gguf", "llama")
    writer.add_context_length(64), writer.add_embedding_length(8), writer.add_block_count(1)
    writer.add_feed_forward_length(8), writer.add_head_count(1), writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(8), writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama"), writer.add_token_list(tokens)
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * 6)
    writer.add_token_scores([0.0] * 259 + [-2.0, -1.0, -3.0, -9.0, -9.0, -9.0])
    writer.add_bos_token_id(1), writer.add_eos_token_id(2), writer.add_unk_token_id(0)
    writer.add_add_space_prefix(prefix)
    writer.write_header_to_file(), writer.write_kv_data_to_file(), writer.write_tensors_to_file(), writer.close()
    tokenizer = AutoTokenizer.from_pretrained(".", gguf_file="v.gguf")
    for text, wanted in texts.items():
        found = tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False))
        print(f"add_space_prefix {prefix}, {text!r}: transformers {found}, llama.cpp {wanted}")
        if found != wanted:
            differing.append((prefix, text))
sys.exit(0 if differing == [(False, "ab"), (True, " ab")] else 1)
PY
