"""What a run has in common with benchmarks: runs of 13 words, as the authors of GPT-3 counted (arXiv 2005.14165).

Documents are compared as well as questions, since benchmarks of long context are made of books that others have, too. A
question of fewer words than 13 is looked for as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datagen.selection import benchmarks, words
from datagen.selection.words import Sets, Words

RUN = 13  # words


@dataclass(frozen=True)
class Benchmarks:
    """Runs of words that benchmark files hold."""

    names: list[str]
    runs: dict[int, Sets]  # by their length; those shorter than RUN only as far as they were asked for

    def question(self, question: str) -> str | None:
        """What a question shares with the benchmarks, in words; it must be one of those they were gathered for."""
        found = words.read(question)
        shared = self._shared(found, min(RUN, len(found)))
        return shared and f"{shared[2]} has “{shared[1]}”"

    def document(self, text: str) -> str | None:
        """What a document shares with the benchmarks, in words, or None."""
        found = words.read(text)
        if len(found) < RUN or not (shared := self._shared(found, RUN)):
            return None
        n, first, name = shared
        return f"{n:,} of its {len(found) - RUN + 1:,} runs of {RUN} words, such as “{first}” in {name}"

    def _shared(self, found: Words, length: int) -> tuple[int, str, str] | None:
        """How many runs of so many words are shared, the first of them, and the file that has it."""
        *_, hashes = [np.zeros(0, np.uint64), *words.runs(found, length)]
        which, files = self.runs[length].find(hashes) if length else (hashes, hashes)
        return (len(which), found.show(which[0], length), self.names[files[0]]) if len(which) else None


def gather(paths: Sequence[str], questions: Sequence[str]) -> Benchmarks:
    """The runs of 13 words of all texts in these files, and of what is shorter that which one of the questions is.

    Raises ConfigError, as `benchmarks.texts` does.
    """
    paths = sorted(paths, key=lambda path: (benchmarks.name(path), path))
    short = _short(questions)
    parts: dict[int, list[list[np.ndarray]]] = {n: [[] for _ in paths] for n in (*short, RUN)}
    for file, path in enumerate(paths):
        for text in benchmarks.texts(path):
            for n, hashes in enumerate(words.runs(words.read(text), RUN), 1):
                if n == RUN:
                    parts[n][file].append(np.unique(hashes))
                elif n in short:
                    parts[n][file].append(hashes[short[n].find(hashes)[0]])
    return Benchmarks([benchmarks.name(path) for path in paths], {n: words.sets(p) for n, p in parts.items()})


def _short(questions: Sequence[str]) -> dict[int, Sets]:
    """By their number of words, the questions of fewer words than RUN, each as one run."""
    found: dict[int, list[np.ndarray]] = {}
    for question in questions:
        *_, (n, whole) = [(0, None), *enumerate(words.runs(words.read(question), RUN), 1)]
        if whole is not None and n < RUN:
            found.setdefault(n, []).append(whole)
    return {n: words.sets([hashes]) for n, hashes in found.items()}
