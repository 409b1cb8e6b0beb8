import tracemalloc
from collections.abc import Sequence
from pathlib import Path

from datagen import shards
from datagen.commands import messages
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.records import Cluster, Document, Dropped, Judgement


def input_said(run: Path, n_shards: int, capsys) -> tuple[int, list[str]]:
    """What is said of an input with a thousand bad rows in every shard: (most bytes held, the lines)."""
    for n in range(n_shards):
        name = f"shard-{n:05d}{shards.SUFFIX}"
        rows = [Dropped("document", f"{n}-{i}", "", "failed", "odd", f"{n}-{i} {'x' * 150}") for i in range(1000)]
        shards.write_rows(f"{run}/chunk/dropped/{name}", Dropped, rows)
        shards.write_rows(f"{run}/chunk/documents/{name}", Document, [])
        (run / "chunk" / name).touch()
    tracemalloc.start()
    messages.say_input(str(run), Reporter(), verbose=False)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, capsys.readouterr().err.splitlines()


def test_rows_set_aside_are_counted_not_held(tmp_path, capsys):
    few, _ = input_said(tmp_path / "few", 2, capsys)
    many, lines = input_said(tmp_path / "many", 10, capsys)
    assert [line.split(" x")[0] for line in lines[:5]] == [f"set aside: 0-{i}" for i in range(5)]
    assert lines[5:] == ["… and 9,995 more (-v names them all)"]
    assert many < 1.2 * few


def judged_said(run: Path, ratings: Sequence[float], capsys) -> str:
    """What is said of a judge by which all these candidates left."""
    rows = [
        Dropped("candidate", f"q{i}", "", "rejected", "rated too low", f"rated {rating:g}, judge.min_rating is 7. So.")
        for i, rating in enumerate(ratings)
    ]
    shards.write_rows(f"{run}/judge/dropped/shard-00000{shards.SUFFIX}", Dropped, rows)
    shards.write_rows(f"{run}/judge/shard-00000{shards.SUFFIX}", Judgement, [])
    messages.say_judged(str(run), Reporter())
    return capsys.readouterr().err


def test_a_flat_rating_that_nobody_passed_is_told(tmp_path, capsys):
    assert judged_said(tmp_path / "varied", [1, 2, 3, 4, 5, 6] * 4, capsys) == ""
    assert judged_said(tmp_path / "few", [5] * 9, capsys) == ""
    said = judged_said(tmp_path / "flat", [5] * 22 + [3] * 2, capsys)
    assert "22 of 24 candidates are rated 5: the rating tells little, and yet they left for it" in said
    assert f"`longrlvr-data judge -o {tmp_path / 'flat'} --set judge.min_rating=0 --resume never`" in said


def told_apart(run: Path, shares: Sequence[float | None], capsys) -> str:
    """What is said of documents, of two clusters each, whose parts are told apart so well."""
    for i, share in enumerate(shares):
        rows = [Cluster(f"d{i}/c{k}", f"d{i}", [0, 1, 2, 3], 0.5, 0.1, 1.0, share) for k in range(2)]
        shards.write_rows(f"{run}/cluster/shard-{i:05d}{shards.SUFFIX}", Cluster, rows)
    messages.say_told_apart(str(run), Config(), Reporter())
    return capsys.readouterr().err


def test_an_encoder_that_does_not_tell_parts_apart_is_told(tmp_path, capsys):
    assert told_apart(tmp_path / "well", [0.9, 0.7, None], capsys) == ""
    said = told_apart(tmp_path / "badly", [0.9, 0.55, 0.51, None, *[0.6] * 5], capsys)
    assert "embedded hardly tells the parts of 7 of 9 documents apart: d2 (0.51), d1 (0.55), d4 (0.60), " in said
    assert ", …. (How often" in said
    assert f"`longrlvr-data cluster -o {tmp_path / 'badly'} --set embed.model=BAAI/bge-m3 --resume never`" in said
