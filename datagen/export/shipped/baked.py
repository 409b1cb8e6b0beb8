"""What an export writes into its `longrlvr_reward.py` instead of these lines (see `reward_file`)."""

from datagen import prompts
from datagen.checks import grading

VERIFIER = "exact"
GRADER_PROMPT = prompts.load(grading.GRADER_PROMPT).text
GRADER_SCHEMA = grading.VERDICT
