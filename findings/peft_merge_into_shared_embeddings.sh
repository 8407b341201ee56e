#!/bin/sh
# A LoRA adapter on the embeddings (or on the head) of a model whose head shares the embeddings' weights: while the
# adapter is beside the weights, only the module that it was trained on is changed. merge_and_unload adds the change to
# the one tensor that both share, so the head changes with the embeddings (or the other way round), and the merged model
# computes something else. modules_to_save on the same module merges right. Untying before the merge (a copy of the
# weights for the head, tie_word_embeddings = False) gives the adapter's own output.
# Installs torch (CPU is enough), transformers and peft. Ends with status 0 while this is so.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q torch==2.13.0 transformers==5.23.0 peft==0.21.2
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

ids = torch.tensor([[5, 6, 7, 8]])


def difference(untied=False, **where):
    """How far the merged model's logits are from those with the adapter beside the weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        tie_word_embeddings=True,
    )
    model = get_peft_model(LlamaForCausalLM(config), LoraConfig(r=4, **where)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn_like(weight)
        before = model(ids).logits
        if untied:
            head = model.get_base_model().get_output_embeddings()
            layer = getattr(head, "base_layer", head)
            layer.weight = torch.nn.Parameter(head.weight.clone())
            model.config.tie_word_embeddings = False
        after = model.merge_and_unload()(ids).logits
    return float((before - after).abs().max() / before.abs().max())


found = {
    "LoRA on embed_tokens": difference(target_modules=["embed_tokens"]),
    "LoRA on lm_head": difference(target_modules=["lm_head"]),
    "LoRA on embed_tokens, untied before": difference(True, target_modules=["embed_tokens"]),
    "embed_tokens in modules_to_save": difference(target_modules=["q_proj"], modules_to_save=["embed_tokens"]),
    "LoRA on q_proj": difference(target_modules=["q_proj"]),
}
print(f"peft {peft.__version__}, transformers {transformers.__version__}: largest difference / largest logit")
for name, value in found.items():
    print(f"{name}: {value:.6f}")
wrong, wrong_too, *right = found.values()
sys.exit(0 if min(wrong, wrong_too) > 0.1 and max(right) < 1e-3 else 1)
PY
