"""Which chunks of a document are most likely to say what a cited one says: the nearest to it and to the question.

Two rankings are fused by their ranks (Cormack, Clarke & Büttcher 2009, "Reciprocal Rank Fusion"): by the vectors, which
find other words for the same, and by the words in common, each counted by how rare it is in the document (Spärck Jones
1972), which find the names and numbers that vectors blur.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import cached_property

import numpy as np

from datagen.embed import encoder
from datagen.grounding import verify
from datagen.records import Candidate
from datagen.run.shard import Shard
from datagen.text import prose_view

FUSION = 10  # the k of reciprocal rank fusion: the smaller, the more the first ranks count
COMMON = 4, 0.1  # chunks that a word may be in, or a share of them: many common words would drown the few names


class Neighbours:
    """Of the chunks that a shard's candidates cite. Vectors are read, and questions embedded, when first asked for, and
    in a thread: an encoder takes its time, and one behind servers has an event loop of its own.
    """

    def __init__(self, shard: Shard, candidates: list[Candidate], texts: dict[str, list[str]]) -> None:
        self.shard, self.candidates, self.texts = shard, candidates, texts
        self._words: dict[str, dict[str, list[int]]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def of(self, candidate: Candidate, chunk: int, cited: Collection[int], n: int) -> list[int]:
        """At most `n` chunks besides the cited ones, the most likely first. Raises as `encoder.encode` does."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._of, candidate, chunk, cited, n)

    def _of(self, candidate: Candidate, chunk: int, cited: Collection[int], n: int) -> list[int]:
        vectors = self._vectors[candidate.doc_id]
        by_vectors = vectors @ (vectors[chunk] + self._questions[candidate.qa_id])
        fused = 1 / (FUSION + _ranks(by_vectors)) + 1 / (FUSION + _ranks(self.by_words(candidate, chunk)))
        return [i for i in np.argsort(-fused, kind="stable").tolist() if i not in cited][:n]

    def by_words(self, candidate: Candidate, chunk: int) -> np.ndarray:
        """(n_chunks,) the words each chunk shares with a cited one, the question and the answer, by their rarity."""
        texts, index = self.texts[candidate.doc_id], self._index(candidate.doc_id)
        scores = np.zeros(len(texts))
        wanted = {w for text in (texts[chunk], candidate.question, candidate.answer) for w in verify.words(text)}
        for word in sorted(wanted):  # in a set's own order, sums differ in their last bits from process to process
            if (holders := index.get(word)) is not None:
                scores[holders] += np.log(len(texts) / len(holders))
        return scores

    def _index(self, doc_id: str) -> dict[str, list[int]]:
        """The chunks of a document that hold each word, but for the words that are common in it. Few words are asked
        for: lists take less time and memory to make than arrays.
        """
        if doc_id not in self._words:
            holders: dict[str, list[int]] = {}
            for i, text in enumerate(self.texts[doc_id]):
                for word in set(verify.words(text)):
                    holders.setdefault(word, []).append(i)
            rare = max(COMMON[0], COMMON[1] * len(self.texts[doc_id]))
            self._words[doc_id] = {w: chunks for w, chunks in holders.items() if len(chunks) <= rare}
        return self._words[doc_id]

    @cached_property
    def _vectors(self) -> dict[str, np.ndarray]:
        """(n_chunks, dim) float32 unit vectors of each document; zeros for a chunk without one."""
        found: dict[str, np.ndarray] = {}
        for doc_id, (places, vectors) in self.shard.vectors().items():
            found[doc_id] = np.zeros((len(self.texts[doc_id]), vectors.shape[1]), np.float32)
            found[doc_id][places] = vectors
        return found

    @cached_property
    def _questions(self) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        for doc_id, (places, _) in self.shard.vectors().items():
            asked = [c for c in self.candidates if c.doc_id == doc_id]
            if asked:
                compared = prose_view.compared(self.texts[doc_id])
                chunks = [compared[i] for i in places]
                vectors = encoder.encode_queries([c.question for c in asked], chunks, self.shard.config.embed)
                found |= {c.qa_id: vector for c, vector in zip(asked, vectors.astype(np.float32), strict=True)}
        return found


def _ranks(scores: np.ndarray) -> np.ndarray:
    """(n,) 1 for the highest score, equal scores in order."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)
    return ranks
