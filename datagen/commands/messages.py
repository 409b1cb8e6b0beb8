"""What stage commands tell a person: about the input, the dataset and the first requests."""

from __future__ import annotations

import json
import os
import shlex
from collections import Counter
from collections.abc import Sequence

from datagen import shards
from datagen.checks import grading, quality
from datagen.commands.advice import NAME
from datagen.commands.guard import COMPLETE
from datagen.config.model import Config
from datagen.console import Reporter, print_json, put
from datagen.llm.base import Request
from datagen.llm.endpoint import payload
from datagen.records import Dropped
from datagen.run import tables
from datagen.run.ledger import Ledger
from datagen.run.run import Run
from datagen.stages import runner
from datagen.stages.stage import Stage
from datagen.text import passed, sources

SHOWN_REQUESTS = 3  # by --dry-run
ENOUGH_RATINGS, FLAT = 10, 0.75  # candidates, and the share of one rating among them that is no spread
TOLD_APART = 0.65  # a share below this is near to chance; all-MiniLM-L6-v2 has 0.6 in Russian, 0.9 in English
SHOWN = 5  # rows set aside that are named without -v


def say_input(run: str, reporter: Reporter, verbose: bool) -> None:
    """Say what was not plain about the input: other encodings than UTF-8, and rows set aside."""
    aside = 0
    places = Run(run)
    for name in places.names("chunk"):
        path = places.shard("chunk", name, "documents")
        for document in shards.read_table(path, ["source", "encoding"]).to_pylist():
            if document["encoding"] not in ("utf-8", "utf-8-sig"):
                reporter.say(f"{document['source']}: read as {document['encoding']}")
        for d in shards.read_rows(places.shard("chunk", name, "dropped"), Dropped):
            aside += d.status == "failed"
            if d.status == "failed" and (verbose or aside <= SHOWN):
                reporter.say(f"set aside: {d.detail}")
    if aside > SHOWN and not verbose:
        reporter.say(f"… and {aside - SHOWN:,} more (-v names them all)")


def say_unread(config: Config, total: dict[str, Ledger], reporter: Reporter) -> bool:
    """Whether more files of the input are locked, or of kinds that are known and cannot be read, than documents were
    read; said, if so. total: the ledgers of the stages that ran, by name.
    """
    read = total.get(tables.CHUNK.name, {}).get("document")
    path = config.input.path or ""
    if read is None or not os.path.isdir(path):
        return False
    n_read = read["in"] - sum(read["failed"].values())
    n_unread = len(passed.unreadable(sources.find(path, config.input)[1]))
    if n_unread <= n_read:
        return False
    reporter.say(f"{path}: {n_unread:,} files could not be read, and {n_read:,} documents were read")
    return True


def say_told_apart(run: str, config: Config, reporter: Reporter) -> None:
    """Say of which documents the encoder hardly tells the parts apart: their clusters are near to chance."""
    places, n, n_weak = Run(run), 0, 0
    weakest: list[tuple[float, str]] = []
    for name in places.names("cluster"):
        columns = shards.read_table(places.shard("cluster", name), ["told_apart", "doc_id"]).to_pydict()
        told = set(zip(columns["told_apart"], columns["doc_id"], strict=True))
        weak = [row for row in told if row[0] is not None and row[0] < TOLD_APART]
        n, n_weak, weakest = n + len(told), n_weak + len(weak), sorted([*weakest, *weak])[:SHOWN]
    if not n_weak:
        return
    first = ", ".join(f"{doc_id} ({share:.2f})" for share, doc_id in weakest) + ", …" * (n_weak > SHOWN)
    other = "BAAI/bge-m3" if config.embed.model in ("embedded", "minilm") else "embedded"
    again = shlex.join([NAME, "cluster", "-o", run, "--set", f"embed.model={other}", "--resume", "never"])
    advice = "" if config.embed.endpoints else f" To try another encoder: `{again}`"
    reporter.say(
        f"warning: embed.model {config.embed.model} hardly tells the parts of {n_weak:,} of {n:,} documents apart: "
        f"{first}. (How often two chunks that follow each other are more alike than two drawn at random; 0.5 is "
        f"chance.) Their clusters may have no theme.{advice}"
    )


def say_judged(run: str, reporter: Reporter) -> None:
    """Say what the judge's model showed of itself: how it compared answers of known truth, and ratings that tell no
    candidate from another.
    """
    places = Run(run)
    if trial := grading.kept(places.trial("judge")):
        reporter.say(f"judge: {grading.described(trial)}")
    files = [places.shard("judge", name) for name in places.names("judge")]
    ratings = Counter(rating for file in files for rating in shards.read_table(file, ["rating"])["rating"].to_pylist())
    left = Counter(found for row in places.dropped("judge") if (found := quality.rating_of(row)) is not None)
    all_ratings = ratings + left
    if all_ratings.total() < ENOUGH_RATINGS:
        return
    rating, n = all_ratings.most_common(1)[0]
    if n <= FLAT * all_ratings.total():
        return
    said = f"judge: {n:,} of {all_ratings.total():,} candidates are rated {rating:g}: the rating tells little"
    if left[rating]:
        again = shlex.join([NAME, "judge", "-o", run, "--set", "judge.min_rating=0", "--resume", "never"])
        reporter.say(
            f"{said}, and yet they left for it. `{again}` lets the checks decide that have the question answered; no "
            "rating is paid for again"
        )
    else:
        reporter.say(f"{said}; what decides are the other judge.checks, if there are any")


def show_requests(s: Stage, run: str, config: Config, as_json: bool) -> int:
    """Print the first requests of a stage, as they would be sent."""
    return print_requests(s.name, run, runner.preview(s, run, config, SHOWN_REQUESTS), as_json)


def print_requests(stage: str, run: str, requests: Sequence[Request], as_json: bool) -> int:
    """Print requests as they would be sent. Returns the exit code."""
    if as_json:
        print_json({"run": run, "stage": stage, "requests": [payload(request) for request in requests]})
        return COMPLETE
    for i, request in enumerate(requests, 1):
        body = payload(request)
        rest = {name: value for name, value in body.items() if name != "messages"}
        put(f"──── {stage}: request {i} of the first {len(requests)}, {json.dumps(rest, ensure_ascii=False)}")
        for message in request.messages:
            put(f"──── {message['role']}\n{message['content']}\n")
    print("Nothing was sent.")
    return COMPLETE


def show_dataset(run: str, counts: dict[str, int]) -> None:
    """Print how many rows the dataset has, and one of them."""
    folder = Run(run).dataset_folder
    first, *_ = [file for split in counts for file in Run(run).dataset_files(split)]  # there is at least one row
    row = shards.read_table(first, ["extra_info"])["extra_info"][0].as_py()
    put(f"\n{folder}: " + ", ".join(f"{n:,} {split} rows" for split, n in counts.items()))
    put(f"\nA row of it, {row['qa_id']}, from a prompt of {row['n_chunks']} chunks and {row['n_tokens']:,} tokens:\n")
    put(f"{row['question']}\n")
    put(f"answer    {row['answer']}")
    put(f"evidence  chunks {', '.join(map(str, row['ref_chunks']))}")
