"""Training a language model with GRPO on a dataset's grounding labels."""
