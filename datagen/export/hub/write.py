"""The folder for the Hub: rows, questions and documents as parquet, the card, the reward, and checksums of all."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen import __version__, checksums, shards
from datagen.dataset import read
from datagen.dataset.schema import SPLITS
from datagen.errors import InputError
from datagen.export import folder, model, reward_file, rows
from datagen.export.folder import RECORD, Options
from datagen.export.hub import card, origin, tables
from datagen.export.hub.documents import Documents
from datagen.export.rows import Count
from datagen.run.paths import CARD, PROVENANCE

TO = "hf"


def export(options: Options) -> dict[str, Any]:
    """Write the folder; returns what `export.json` holds.

    Nothing that is there is touched. Without a model every row is written. Raises InputError where no dataset is there,
    no row fits, or a prompt shows no document; ConfigError as `datagen.export.write.export` does.
    """
    target = folder.new(options.output_dir)
    files = read.find(options.dataset)
    known = origin.of(files)
    limit, tokenizer = (
        (model.room(options.model, options), model.tokenizer_of(options.model)) if options.model else (0, None)
    )
    with folder.building(target) as unfinished:
        counts = {split: Count() for split in SPLITS}
        written = {
            split: tables.write(
                unfinished,
                tables.FULL,
                split,
                _named(rows.unchanged(files[split], split, tokenizer, (limit, options.max_response_tokens), count)),
            )
            for split, count in counts.items()
        }
        if not written["train"]:
            raise InputError(f"{options.dataset}: no row is left for the Hub. {rows.why_none(counts['train'], limit)}")
        n_documents, lengths = _questions_and_documents(unfinished, written)
        facts = card.Facts(
            known,
            {split: count.written for split, count in counts.items() if count.written},
            n_documents,
            lengths,
            _left_out(options, counts, limit),
            _digest(unfinished),
            options.verifier,
        )
        texts = {CARD: card.card(facts), reward_file.NAME: reward_file.source(options.verifier)}
        if known.provenance:
            texts[PROVENANCE] = json.dumps(known.provenance, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
        for name, text in texts.items():
            shards.write_bytes(str(unfinished / name), text.encode())
        found = _record(options, counts, limit, n_documents, unfinished)
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        shards.write_bytes(str(unfinished / RECORD), text.encode())
    return found


def licence(export_dir: str) -> str | None:
    """The licence that the card of an export names, or None."""
    return origin.header_of(Path(export_dir).expanduser() / CARD).get("license")


def _named(found: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows without the place on a disk in the name of the model that wrote them."""
    for row in found:
        row["extra_info"]["generator"] = origin.shareable(row["extra_info"]["generator"])
        yield row


def _questions_and_documents(unfinished: Path, written: dict[str, list[Path]]) -> tuple[int, array[int]]:
    """Write the two from the full rows: the number of documents, and the tokens of the prompts."""
    lengths = array("q")
    with shards.writing(str(unfinished)), tempfile.TemporaryFile(dir=unfinished) as spool:
        documents = Documents(spool)
        for split, files in written.items():
            tables.write(unfinished, tables.QUESTIONS, split, _questions(files, documents, lengths))
        tables.write(unfinished, tables.DOCUMENTS, tables.DOCUMENTS, documents.rows())
    return len(documents), lengths


def _questions(files: list[Path], documents: Documents, lengths: array[int]) -> Iterator[dict[str, Any]]:
    for row in tables.read(files):
        if (n_tokens := row["extra_info"]["n_tokens"]) is not None:
            lengths.append(n_tokens)
        yield tables.parted(row, documents)


def _files(unfinished: Path) -> list[Path]:
    return sorted(path for path in unfinished.rglob("*") if path.is_file())


def _digest(unfinished: Path) -> str:
    """A hash of the files that are there."""
    sums = [f"{checksums.digest(path)}  {path.relative_to(unfinished).as_posix()}\n" for path in _files(unfinished)]
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def _left_out(options: Options, counts: dict[str, Count], limit: int) -> str:
    if not any(count.left_out for count in counts.values()):
        return ""
    by_split = "; ".join(f"{split}: {rows.told(count, limit)}" for split, count in counts.items() if count.left_out)
    return f"Counted by the tokenizer and the chat template of `{_model(options)}`: {by_split}."


def _model(options: Options) -> str | None:
    """The model's name; of a folder, its last part."""
    if options.model and os.path.isdir(options.model):
        return Path(options.model).resolve().name
    return options.model and origin.shareable(options.model)


def _record(
    options: Options, counts: dict[str, Count], limit: int, n_documents: int, unfinished: Path
) -> dict[str, Any]:
    return {
        "longrlvr_data": __version__,
        "to": TO,
        "model": _model(options),
        "verifier": options.verifier,
        "max_prompt_tokens": limit if options.model else None,
        "max_response_tokens": options.max_response_tokens if options.model else None,
        "splits": {
            split: {
                "rows": count.written,
                "longest": count.longest if options.model else None,
                "left_out": dict(count.left_out),
                "left_out_ids": count.ids,
            }
            for split, count in counts.items()
        },
        "documents": n_documents,
        "files": {
            path.relative_to(unfinished).as_posix(): {
                "bytes": path.stat().st_size,
                "sha256": checksums.digest(path),
            }
            for path in _files(unfinished)
        },
    }
