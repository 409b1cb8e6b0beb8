"""What context a stage's longest request may need: the tokens of its prompt, by estimate, and those of its reply.

It follows from what there is, clusters, candidates and their chunks, and from what each kind of request shows of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from datagen import prompts
from datagen.config.llm import SamplingConfig
from datagen.config.model import Config
from datagen.llm.parsing import SHOWN_AGAIN
from datagen.prompts import Prompt
from datagen.run.shard import Shard

TAGS = 16  # tokens around a passage
BYTES_PER_TOKEN = 3  # of prompts, questions and replies, whose tokens nobody counted: few texts have fewer


@dataclass(frozen=True, slots=True)
class Sizes:
    """Tokens of what requests about a cluster, or one of its candidates, may show: chunks as `chunk.tokenizer` counts
    them, with their tags.
    """

    cluster: int  # all its chunks
    document: int
    longest: int  # of the document's chunks
    cited: int = 0  # how many chunks
    evidence: int = 0  # the cited chunks
    asked: int = 0  # question and answer


# Of the settings and the sizes: the tokens of the passages in the longest request of a kind, at most.
Shows = Callable[[Config, Sizes], int]


@dataclass(frozen=True)
class Asks:
    """A kind of request. `what` is asked, by the engine of that name; `shows` is None where nobody knows."""

    what: str
    shows: Shows | None
    prompts: tuple[Prompt, ...]
    sampling: SamplingConfig
    retries: int = 0
    engine: str = ""

    @property
    def reply(self) -> int:
        """The most tokens of a reply."""
        sent = self.sampling.sent()
        return max(sent.get(name) or 0 for name in ("max_tokens", "max_completion_tokens"))

    @property
    def wording(self) -> int:
        """The tokens of the prompt itself, and of what is added as often as it is asked again."""
        own = max((_tokens(prompt.text) for prompt in self.prompts), default=0)
        again = min(self.reply, SHOWN_AGAIN // BYTES_PER_TOKEN) + _tokens(prompts.load("again").text)
        return own + self.retries * again


@dataclass(frozen=True, slots=True)
class Need:
    """The context of the longest request: of which kind it is, its prompt and its reply in tokens."""

    what: str
    prompt: int
    reply: int

    @property
    def total(self) -> int:
        """What the window must hold."""
        return self.prompt + self.reply


def longest(kinds: Iterable[Asks], sizes: Iterable[Sizes], config: Config) -> dict[str, Need]:
    """The longest request, of the kinds of which it is known, to each engine. Nothing is asked about no sizes."""
    found: dict[str, Need] = {}
    known = [(asks, asks.shows, asks.wording) for asks in kinds if asks.shows]
    for size in sizes:
        for asks, shows, wording in known:
            prompt = wording + size.asked + shows(config, size)
            before = found.get(asks.engine)
            if before is None or prompt + asks.reply > before.total:
                found[asks.engine] = Need(asks.what, prompt, asks.reply)
    return found


def sizes(shard: Shard, of: str) -> Iterator[Sizes]:
    """Those of each row that "generate" or "judge" takes from a shard: a cluster, or a candidate."""
    tokens: dict[str, dict[int, int]] = defaultdict(dict)
    chunks = shard.table("chunk", ["doc_id", "chunk_index", "n_tokens"])
    for doc_id, index, n in zip(*(column.to_pylist() for column in chunks.columns), strict=True):
        tokens[doc_id][index] = n + TAGS
    documents = {doc_id: (sum(of_chunks.values()), max(of_chunks.values())) for doc_id, of_chunks in tokens.items()}
    clusters: dict[str, Sizes] = {}
    for row in shard.table("cluster", ["cluster_id", "doc_id", "chunk_indices"]).to_pylist():
        of_chunks = tokens[row["doc_id"]]
        clusters[row["cluster_id"]] = Sizes(sum(of_chunks[i] for i in row["chunk_indices"]), *documents[row["doc_id"]])
    if of == "generate":
        yield from clusters.values()
        return
    for row in shard.table("generate", ["cluster_id", "doc_id", "ref_chunks", "question", "answer"]).to_pylist():
        of_chunks, cluster, cited = tokens[row["doc_id"]], clusters[row["cluster_id"]], row["ref_chunks"]
        evidence = sum(of_chunks.get(i, 0) for i in cited)
        asked = _tokens(row["question"]) + _tokens(row["answer"])
        yield Sizes(cluster.cluster, cluster.document, cluster.longest, len(cited), evidence, asked)


def _tokens(text: str) -> int:
    return len(text.encode()) // BYTES_PER_TOKEN
