"""`evaluate ruler`: RULER's questions over documents, built with their evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from datagen.commands.options import FormOptions, Json, Verbose, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter

GROUP = 16  # rows of a file that are in memory at a time


@with_options
def ruler(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="SQuAD's dev file (v1.1 or v2.0), for qa_1, or HotpotQA's dev_distractor, for qa_2."
        ),
    ],
    tokens: Annotated[
        list[int],
        typer.Option(
            min=64, metavar="N", help="The length of a document in tokens. Can be given several times, for several."
        ),
    ],
    form: FormOptions,
    output: Annotated[str, typer.Option("-o", "--output", metavar="FILE", help="The parquet file to write.")],
    questions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Most questions of each length. They are drawn.")
    ] = 500,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="The seed of what is drawn.")] = 0,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Build RULER-QA: questions in documents of a given length, with where their evidence stands.

    \b
    Examples:
      longrlvr-data evaluate ruler dev-v2.0.json --tokens 8192 --tokens 32768 -o qa_1.parquet
      longrlvr-data evaluate ruler hotpot_dev_distractor_v1.json --tokens 32768 --format published -o qa_2.parquet
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _ruler(given, said), verbose)


def _ruler(given: dict[str, Any], reporter: Reporter) -> int:
    import shlex
    from collections import Counter
    from collections.abc import Iterator
    from itertools import islice

    import pyarrow as pa

    from datagen import grounded, records, shards
    from datagen.commands.guard import COMPLETE
    from datagen.console import print_json
    from datagen.errors import ConfigError
    from datagen.evaluate import paragraphs
    from datagen.evaluate import ruler as building

    output: str = given["output"]
    if not output.endswith(shards.SUFFIX):
        raise ConfigError(f"-o {output}: the file is a parquet file: end its name in {shards.SUFFIX}")
    form: FormOptions = given["form"]
    tokenizer = grounded.form(grounded.settings(form.config, form.set or ()), form.format).tokenizer
    source = paragraphs.read(given["source"])
    lengths = sorted(dict.fromkeys(given["tokens"]))
    built = building.build(source, lengths, given["questions"], given["seed"], tokenizer)
    counts: Counter[int] = Counter()
    total = len(lengths) * min(given["questions"], len(source.questions))

    def groups() -> Iterator[pa.Table]:
        while rows := list(islice(built, GROUP)):
            counts.update(row.length for row in rows)
            reporter.advance(len(rows))
            yield records.to_table(building.RulerRow, rows)

    reporter.start("ruler", "question", total, 0)
    shards.write_groups(output, records.schema(building.RulerRow), groups())
    reporter.close()
    found = {"output": output, "task": source.task, "tokenizer": tokenizer.name}
    if given["json"]:
        by_length = {str(length): counts[length] for length in lengths}
        print_json(found | {"questions": by_length, "skipped": source.skipped, "paragraphs": len(source.paragraphs)})
        return COMPLETE
    for length in lengths:
        print(f"{source.task}: {counts[length]:,} questions, each in a document of at most {length:,} tokens")
    print(f"{source.path}: {len(source.paragraphs):,} paragraphs; {source.skipped:,} questions without an answer")
    ask = ["longrlvr-data", "evaluate", "run", "--benchmark", "ruler-qa", "--data", output]
    print(f"{output}: `{shlex.join(ask)} --model NAME --base-url URL -o DIR` asks them")
    return COMPLETE
