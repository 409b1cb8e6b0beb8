"""Which run of a document's chunks a prompt shows, and how many tokens it takes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence

import numpy as np

from datagen import prompts
from datagen.grounding import fences, tags
from datagen.text.tokenizers import Tokenizer


def tag_costs(tokenizer: Tokenizer, n: int) -> np.ndarray:
    """(n,) tokens that the tags around chunk 0, 1, … of a prompt take.

    They are counted apart, as they stand in a prompt ("><" would be one token). One more for the two seams with the
    text: rarely, a token parts differently there, and a prompt must never be over the limit.
    """
    opening = tokenizer.count([tags.around_chunk(i)[0] for i in range(n)])
    closing = tokenizer.count([tags.around_chunk(i)[1] for i in range(n)])
    return np.array(opening, np.int64) + np.array(closing, np.int64) + 1


def besides_chunks(tokenizer: Tokenizer, prompt: prompts.Prompt, questions: Sequence[str]) -> list[int]:
    """Tokens of each question with the instructions of the rows' prompt."""
    instructions = sum(tokenizer.count(prompt.literals))
    return [instructions + n for n in tokenizer.count([fences.neutralise(question) for question in questions])]


def fit(costs: np.ndarray, low: int, high: int, room: int, seed: str) -> tuple[int, int, int] | None:
    """The chunks to show, first and last, and their tokens: all if they fit, else a run that holds `low` to `high`.

    `costs` are (n_chunks,) tokens with the tags. Where the evidence falls within the run is drawn by the seed, so that
    it is not always in the middle. None if the evidence alone spans more than `room` tokens.
    """
    before = np.concatenate([[0], np.cumsum(costs)])  # tokens before each chunk
    if before[-1] <= room:
        return 0, len(costs) - 1, int(before[-1])
    earliest = int(np.searchsorted(before, before[high + 1] - room))
    if earliest > low:
        return None
    first = random.Random(hashlib.sha256(seed.encode()).digest()).choice(range(earliest, low + 1))
    last = int(np.searchsorted(before, before[first] + room, side="right")) - 2
    first = int(np.searchsorted(before, before[last + 1] - room))  # the document may have ended first: show more before
    return first, last, int(before[last + 1] - before[first])
