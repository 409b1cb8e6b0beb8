"""Tags, answers and rewards: the contract with a trainer, by the standard library alone.

The folder imports nothing outside itself: copied to a worker, under any name, it works as it does here.
"""

from .rewards import Reward, context_reward, score
from .tags import Reading, read_response, render_context, render_response

__all__ = ["Reading", "Reward", "context_reward", "read_response", "render_context", "render_response", "score"]
