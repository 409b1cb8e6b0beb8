"""What stage commands tell a person: about the input, the dataset, the first requests, and the ways on."""

from __future__ import annotations

import json
from typing import Any

from datagen import shards
from datagen.commands.configuration import command_line
from datagen.commands.guard import COMPLETE
from datagen.config.model import Config
from datagen.console import Reporter, print_json
from datagen.llm.endpoint import payload
from datagen.records import Dropped
from datagen.run.run import Run
from datagen.stages import COMMANDS, STAGES, runner
from datagen.stages.stage import Stage

SHOWN_REQUESTS = 3  # by --dry-run
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


def ways_on(first: str, command: str, run: str, file: str | None, given: dict[str, Any]) -> str:
    """What redoing the stage `first` means, and the commands there are to go on."""
    redone, seconds = [], 0.0
    at = [s.name for s in STAGES].index(first)
    redoing = next(name for name, stages in COMMANDS.items() if first in stages)
    for s, status in list(zip(STAGES, Run(run).status(), strict=False))[at:]:
        if status.shards_done:
            redone.append(f"{s.name} ({status.ledger[s.table.input_unit]['in']:,} {s.table.input_unit}s)")
            seconds += status.seconds or 0
    return (
        f"Redoing it means: {', '.join(redone) or first}, which took {seconds:,.0f} s.\n"
        "Choose:\n"
        f"  {command_line(redoing, run, file, given, '--resume', 'never')}\n"
        f"      removes what {redoing} made and makes it again\n"
        f"  {command_line(command, run, file, given, '--resume', 'always')}\n"
        "      goes on with what is finished as it is\n"
        "  another directory for -o\n"
        "      keeps both"
    )


def show_requests(s: Stage, run: str, config: Config, as_json: bool) -> int:
    """Print the first requests of a stage, as they would be sent."""
    requests = runner.preview(s, run, config, SHOWN_REQUESTS)
    if as_json:
        print_json({"run": run, "stage": s.name, "requests": [payload(request) for request in requests]})
        return COMPLETE
    for i, request in enumerate(requests, 1):
        body = payload(request)
        rest = {name: value for name, value in body.items() if name != "messages"}
        print(f"──── {s.name}: request {i} of the first {len(requests)}, {json.dumps(rest, ensure_ascii=False)}")
        for message in request.messages:
            print(f"──── {message['role']}\n{message['content']}\n")
    print("Nothing was sent.")
    return COMPLETE


def show_dataset(run: str, counts: dict[str, int]) -> None:
    """Print how many rows the dataset has, and one of them."""
    folder = Run(run).dataset_folder
    first, *_ = [file for split in counts for file in Run(run).dataset_files(split)]  # there is at least one row
    row = shards.read_table(first, ["extra_info"])["extra_info"][0].as_py()
    print(f"\n{folder}: " + ", ".join(f"{n:,} {split} rows" for split, n in counts.items()))
    print(f"\nA row of it, {row['qa_id']}, from a prompt of {row['n_chunks']} chunks and {row['n_tokens']:,} tokens:\n")
    print(f"{row['question']}\n")
    print(f"answer    {row['answer']}")
    print(f"evidence  chunks {', '.join(map(str, row['ref_chunks']))}")
