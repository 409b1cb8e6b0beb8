"""The benchmarks that can be asked: a module each, which reads their files as they are published."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from datagen.config.data import InputConfig
from datagen.errors import InputError
from datagen.evaluate import rows
from datagen.evaluate.benchmarks import dataset, longbench_v2, longreason, mrcr, ruler_qa
from datagen.evaluate.item import Item
from datagen.text.files import File


@dataclass(frozen=True)
class Benchmark:
    """find: the files behind a path. items: the questions in them. Both raise InputError, naming file and row."""

    items: Callable[[Sequence[File], InputConfig], Iterator[Item]]
    find: Callable[[str], list[File]] = rows.find


BENCHMARKS = {
    "longbench-v2": Benchmark(longbench_v2.items),
    "longreason": Benchmark(longreason.items),
    "mrcr": Benchmark(mrcr.items),
    "ruler-qa": Benchmark(ruler_qa.items),
    "dataset": Benchmark(dataset.items, dataset.find),
}


def items(name: str, files: Sequence[File], settings: InputConfig) -> Iterator[Item]:
    """The questions of a benchmark in its files. Raises InputError as `Benchmark.items` does, and for an id that is
    repeated at the same length.
    """
    seen: set[tuple[str, str]] = set()
    for item in BENCHMARKS[name].items(files, settings):
        if (item.item_id, item.length) in seen:
            raise InputError(f"two questions have the id {item.item_id!r:.100}: is the same file there twice?")
        seen.add((item.item_id, item.length))
        yield item
