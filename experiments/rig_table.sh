#!/bin/sh
# The table of packages/anyrig/evaluation.md: the weights of the package and the baselines, on held-out creatures.
# Ablations of rig augmentation, tree positions and one model for all kinds use a model of a tenth of the work (1.5M
# parameters, 900 steps), since each needs a training run. `sh experiments/rig_table.sh` in the root of the repository
# takes about an hour and a half on two cores; results that exist are not computed again.
set -eu
bin=${BIN:-.venv/bin}
out=${1:-runs/rig-table}
kinds="biped bird fish hexapod octopod quadruped serpent"

train() { # FOLDER STEPS SETTING...
    folder=$1 poses=$(($2 / 6)) steps=$(($2 - $2 / 6)) clips=$(($2 * 5 / 2))
    shift 2
    for setting in "$@"; do set -- "$@" --set "$setting"; shift; done
    test -e "$folder/model.safetensors" ||
        "$bin/anyrig" train "$folder" --set model.width=96 --set model.layers=4 --set model.heads=3 \
            --set pose_steps=$poses --set steps=$steps --set n_clips=$clips \
            --set warmup=$((poses / 2)) "$@"
}

train "$out/small" 900
train "$out/plain" 900 varied=false
train "$out/sequence" 900 model.position=sequence model.distances=false
for kind in $kinds; do # the same work in all, a seventh each
    train "$out/kinds/$kind" 129 kinds="$kind"
done
"$bin/anyrig" evaluate --out "$out" --creatures 7 --actions 8 \
    --other "small=$out/small/model.safetensors" \
    --other "small, no rig augmentation=$out/plain/model.safetensors" \
    --other "small, sequence instead of tree=$out/sequence/model.safetensors" \
    --other "small, one model a kind=$out/kinds"
