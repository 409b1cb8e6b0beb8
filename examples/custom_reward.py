"""A reward of one's own: a right answer counts in full if all of the evidence is cited, else by half.

In a configuration: `train: {reward: {kind: "custom_reward:all_or_half"}}`, with this folder on PYTHONPATH.
"""

import datagen
from datagen.grounding.rewards import Reward


def all_or_half(reward: Reward, response: str) -> float:
    """What a response is rewarded with; `reward` has the shares that the bundled kinds are made of."""
    return reward.answer * (1.0 if reward.recall == 1 else 0.5)


if __name__ == "__main__":
    row = {"reward_model": {"ground_truth": "1889"}, "extra_info": {"ref_chunks": [17, 83]}}
    response = "<useful_chunks><CHUNK_17></useful_chunks>\n<answer>1889</answer>"
    reward = datagen.score(row, response)
    print(all_or_half(reward, response) if reward else "no reward")
