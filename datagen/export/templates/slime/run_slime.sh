#!/usr/bin/env bash
# GRPO with slime {{version}} on this folder's rows, by the published settings of LongRLVR as far as slime has them.
#   SLIME         slime's checkout
#   MODEL_SCRIPT  the file of its scripts/models/ for your model
#   LOAD          the model's weights as slime converts them (tools/convert_hf_to_torch_dist.py)
# Megatron-LM has to be on PYTHONPATH, as slime wants it.
set -euo pipefail
: "${SLIME:?a checkout of slime}" "${MODEL_SCRIPT:?such as qwen2.5-7B.sh}" "${LOAD:?the converted weights}"
SLIME=$(realpath "$SLIME") LOAD=$(realpath "$LOAD")
cd "$(dirname "$0")"
source "$SLIME/scripts/models/$MODEL_SCRIPT" # sets MODEL_ARGS
export PYTHONPATH="$PWD:${PYTHONPATH:-}"     # longrlvr_reward.py
if [ -e validation.parquet ]; then
  set -- --eval-interval 10 --eval-prompt-data validation "$PWD/validation.parquet" --eval-reward-key score "$@"
fi

python3 "$SLIME/train.py" "${MODEL_ARGS[@]}" \
  --hf-checkpoint {{model}} \
  --ref-load "$LOAD" \
  --save "$PWD/checkpoints" \
  --save-interval 10 \
  --prompt-data "$PWD/train.parquet" \
  --input-key prompt \
  --label-key reward_model \
  --metadata-key extra_info \
  --apply-chat-template \
  --rollout-shuffle \
  --custom-rm-path longrlvr_reward.custom_rm \
  --reward-key score \
  --dynamic-sampling-filter-path longrlvr_reward.keep_group \
  --over-sampling-batch-size 48 \
  --num-epoch 5 \
  --rollout-batch-size 32 \
  --n-samples-per-prompt 8 \
  --global-batch-size 64 \
  --rollout-max-prompt-len {{prompt_tokens}} \
  --rollout-max-response-len {{response_tokens}} \
  --rollout-max-context-len {{total_tokens}} \
  --rollout-temperature 1.0 \
  --advantage-estimator grpo \
  --eps-clip 0.2 \
  --eps-clip-high 0.28 \
  --eps-clip-c 10 \
  --kl-coef 0 \
  --entropy-coef 0 \
  --calculate-per-token-loss \
  --optimizer adam \
  --lr 1e-6 \
  --lr-decay-style constant \
  --lr-warmup-iters 20 \
  --weight-decay 0.1 \
  --adam-beta1 0.9 \
  --adam-beta2 0.999 \
  --use-dynamic-batch-size \
  --max-tokens-per-gpu {{total_tokens}} \
  --recompute-granularity full \
  --recompute-method uniform \
  --recompute-num-layers 1 \
  --tensor-model-parallel-size 2 \
  --sequence-parallel \
  --attention-dropout 0.0 \
  --hidden-dropout 0.0 \
  --attention-backend flash \
  --actor-num-nodes 1 \
  --actor-num-gpus-per-node 8 \
  --rollout-num-gpus-per-engine 2 \
  --colocate \
  "$@"
