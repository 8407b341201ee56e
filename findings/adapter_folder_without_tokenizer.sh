#!/bin/sh
# A folder that PEFT's save_pretrained wrote holds an adapter and no tokenizer. transformers' AutoModelForCausalLM follows
# it to the base that its adapter_config.json names; AutoTokenizer does not, and says that sentencepiece or tiktoken is
# missing, where what is missing is the tokenizer. Installs torch, transformers and peft.
# Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import peft
import transformers
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

base, adapter = f"{sys.argv[1]}/base", f"{sys.argv[1]}/adapter"
sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
model = LlamaForCausalLM(LlamaConfig(vocab_size=4, **sizes))
model.save_pretrained(base)
words = Tokenizer(models.WordLevel({"a": 0, "b": 1, "c": 2, "?": 3}, unk_token="?"))
PreTrainedTokenizerFast(tokenizer_object=words, unk_token="?").save_pretrained(base)
loaded = AutoModelForCausalLM.from_pretrained(base)
get_peft_model(loaded, LoraConfig(target_modules=["q_proj"])).save_pretrained(adapter)
print(f"transformers {transformers.__version__}, peft {peft.__version__}")
print("the base's tokenizer:", type(AutoTokenizer.from_pretrained(base)).__name__)
print("the adapter's model:", type(AutoModelForCausalLM.from_pretrained(adapter)).__name__)
try:
    AutoTokenizer.from_pretrained(adapter)
except ValueError as e:
    print("the adapter's tokenizer:", str(e).splitlines()[0])
    sys.exit(0 if "sentencepiece" in str(e) and "adapter" not in str(e) else 1)
sys.exit(1)
PY
