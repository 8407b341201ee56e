#!/bin/sh
# Making one of TRL's trainers asks the hub for /api/telemetry/trl/TRAINER, with the model's architecture, the kind of
# device, whether PEFT is used, and the number of processes in its user agent, though model and data are local.
# HF_HUB_DISABLE_TELEMETRY=1, HF_HUB_OFFLINE=1 or CI in the environment prevents it. The hub here is a server of this
# script's own. Installs torch (CPU is enough), transformers, trl. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 trl==1.16.0 accelerate==1.15.0
cd "$folder"
cat > hub.py <<'PY'
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self):
        sent = dict(p.split("/", 1) for p in self.headers["user-agent"].split("; ") if "/" in p)
        with open("asked", "a") as f:
            f.write(f"{self.path} {({k: sent[k] for k in ('model_arch', 'device', 'peft', 'world_size') if k in sent})}\n")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Hub)
with open("port", "w") as f:
    f.write(str(server.server_port))
server.serve_forever()
PY
"$folder/venv/bin/python" hub.py &
hub=$!
trap 'kill $hub; rm -rf "$folder"' EXIT
while [ ! -s port ]; do sleep 0.2; done
cat > make.py <<'PY'
import trl
from datasets import Dataset
from huggingface_hub.utils import _telemetry
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from tokenizers import Tokenizer, models

tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "[e]": 1})), eos_token="[e]")
config = LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, vocab_size=2)
data = Dataset.from_list([{"input_ids": [0, 1]}])
settings = trl.SFTConfig("out", report_to=[], use_cpu=True)
trl.SFTTrainer(LlamaForCausalLM(config), settings, train_dataset=data, processing_class=tokenizer)
_telemetry._TELEMETRY_QUEUE.join()
print(f"trl {trl.__version__}, a trainer is made")
PY
: > asked
export HF_ENDPOINT="http://127.0.0.1:$(cat port)"
unset CI HF_HUB_OFFLINE HF_HUB_DISABLE_TELEMETRY || true
"$folder/venv/bin/python" make.py
echo "the hub was asked: $(cat asked)"
grep -q "/api/telemetry/trl/SFTTrainer" asked
: > asked
HF_HUB_DISABLE_TELEMETRY=1 "$folder/venv/bin/python" make.py
echo "with HF_HUB_DISABLE_TELEMETRY=1: $(cat asked)"
[ ! -s asked ]
