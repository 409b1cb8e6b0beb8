"""What `longrlvr_reward.py` holds beside the reward: judging by a model, and each trainer's way to call it.

The modules here import the standard library, and what goes into the same file.
"""
