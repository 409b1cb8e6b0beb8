#!/usr/bin/env bash
# GRPO with verl {{version}} on this folder's rows, by the published settings of LongRLVR as far as verl has them: see README.md.
# More overrides may follow: bash run_verl.sh trainer.n_gpus_per_node=4
set -euo pipefail
cd "$(dirname "$0")"
case $PWD in *\'*) echo "verl takes no path with an apostrophe: move this folder" >&2 && exit 2 ;; esac
validation=validation
if [ ! -e validation.parquet ]; then # verl wants a file; it is not looked at
  validation=train
  set -- trainer.test_freq=-1 trainer.val_before_train=False "$@"
fi

# A path stands in quotation marks for Hydra as well.
python3 -m verl.trainer.main_ppo \
  data.train_files="'$PWD/train.parquet'" \
  data.val_files="'$PWD/$validation.parquet'" \
  data.max_prompt_length={{prompt_tokens}} \
  data.max_response_length={{response_tokens}} \
  data.filter_overlong_prompts=True \
  data.truncation=error \
  data.train_batch_size={{batch}} \
  data.shuffle=True \
  data.seed=0 \
  reward.custom_reward_function.path="'$PWD/longrlvr_reward.py'" \
  reward.custom_reward_function.name=compute_score \
  +reward.custom_reward_function.reward_kwargs.verifier={{verifier}} \
  +reward.custom_reward_function.reward_kwargs.eta=0.1 \
  +reward.custom_reward_function.reward_kwargs.beta=2.0 \
  algorithm.adv_estimator=grpo \
  algorithm.norm_adv_by_std_in_grpo=True \
  algorithm.use_kl_in_reward=False \
  algorithm.filter_groups.enable=True \
  algorithm.filter_groups.metric=reward \
  trainer.v1.sampler.sync_refill_failed_groups=True \
  actor_rollout_ref.model.path="'"{{model}}"'" \
  actor_rollout_ref.model.use_remove_padding=True \
  actor_rollout_ref.model.enable_gradient_checkpointing=True \
  actor_rollout_ref.actor.use_kl_loss=False \
  actor_rollout_ref.actor.entropy_coeff=0 \
  actor_rollout_ref.actor.clip_ratio_low=0.2 \
  actor_rollout_ref.actor.clip_ratio_high=0.28 \
  actor_rollout_ref.actor.clip_ratio_c=10.0 \
  actor_rollout_ref.actor.loss_agg_mode=token-mean \
  actor_rollout_ref.actor.ppo_mini_batch_size={{mini_batch}} \
  actor_rollout_ref.actor.use_dynamic_bsz=True \
  actor_rollout_ref.actor.ppo_max_token_len_per_gpu={{quarter_tokens}} \
  actor_rollout_ref.actor.ulysses_sequence_parallel_size=4 \
  actor_rollout_ref.actor.optim.lr=1e-6 \
  actor_rollout_ref.actor.optim.lr_warmup_steps=5 \
  actor_rollout_ref.actor.optim.weight_decay=0.1 \
  actor_rollout_ref.actor.grad_clip=1.0 \
  actor_rollout_ref.rollout.name=vllm \
  actor_rollout_ref.rollout.n=8 \
  actor_rollout_ref.rollout.temperature=1.0 \
  actor_rollout_ref.rollout.top_p=1.0 \
  actor_rollout_ref.rollout.tensor_model_parallel_size=4 \
  actor_rollout_ref.rollout.gpu_memory_utilization=0.6 \
  actor_rollout_ref.rollout.enable_chunked_prefill=True \
  actor_rollout_ref.rollout.max_model_len={{total_tokens}} \
  actor_rollout_ref.rollout.max_num_batched_tokens={{total_tokens}} \
  actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=True \
  actor_rollout_ref.rollout.log_prob_max_token_len_per_gpu={{total_tokens}} \
  trainer.total_epochs=5 \
  trainer.val_before_train=True \
  trainer.test_freq=10 \
  trainer.save_freq=10 \
  trainer.nnodes=1 \
  trainer.n_gpus_per_node=8 \
  trainer.project_name=longrlvr \
  trainer.experiment_name=longrlvr \
  trainer.default_local_dir="'$PWD/checkpoints'" \
  "trainer.logger=['console','wandb']" \
  "$@"
