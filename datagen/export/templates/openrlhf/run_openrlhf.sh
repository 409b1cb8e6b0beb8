#!/usr/bin/env bash
# GRPO with OpenRLHF {{version}} on this folder's rows, by the published settings of LongRLVR as far as OpenRLHF has them.
# Eight GPUs; more options may follow: bash run_openrlhf.sh --vllm.num_engines 4
set -euo pipefail
cd "$(dirname "$0")"
case $PWD in *,*) echo "OpenRLHF takes no path with a comma: move this folder" >&2 && exit 2 ;; esac
if [ -e validation.parquet ]; then
  set -- --eval.dataset "$PWD/validation.parquet" --eval.split train --eval.steps 10 "$@"
fi

python3 -m openrlhf.cli.train_ppo_ray \
  --data.prompt_dataset "$PWD/train.parquet" \
  --data.prompt_split train \
  --data.input_key prompt \
  --data.label_key extra_info \
  --data.apply_chat_template \
  --data.max_len {{total_tokens}} \
  --reward.remote_url "$PWD/longrlvr_reward.py" \
  --actor.model_name_or_path {{model}} \
  --rollout.max_new_tokens {{response_tokens}} \
  --rollout.batch_size 32 \
  --rollout.n_samples_per_prompt 8 \
  --rollout.temperature 1.0 \
  --rollout.top_p 1.0 \
  --train.batch_size 64 \
  --train.num_episodes 5 \
  --train.max_epochs 1 \
  --train.dynamic_batch_enable \
  --train.max_tokens_per_gpu {{total_tokens}} \
  --algo.advantage.estimator group_norm \
  --algo.kl.init_coef 0 \
  --algo.dynamic_filtering_enable \
  --algo.dynamic_filtering_range 0 1 \
  --actor.eps_clip_low_high 0.2 0.28 \
  --actor.dual_clip 10 \
  --actor.adam.lr 1e-6 \
  --actor.adam.weight_decay 0.1 \
  --actor.adam.betas 0.9 0.999 \
  --actor.lr_scheduler constant_with_warmup \
  --actor.lr_warmup_ratio {{warmup_ratio}} \
  --actor.gradient_checkpointing_enable \
  --actor.num_gpus_per_node 8 \
  --ref.num_gpus_per_node 8 \
  --vllm.num_engines 4 \
  --vllm.tensor_parallel_size 2 \
  --vllm.gpu_memory_utilization 0.7 \
  --vllm.enable_prefix_caching \
  --vllm.enable_sleep \
  --vllm.sync_backend nccl \
  --train.colocate_all \
  --ds.enable_sleep \
  --ds.packing_samples \
  --ds.zero_stage 3 \
  --ckpt.output_dir "$PWD/checkpoints/final" \
  --ckpt.path "$PWD/checkpoints" \
  --ckpt.save_steps 10 \
  --ckpt.save_hf \
  "$@"
