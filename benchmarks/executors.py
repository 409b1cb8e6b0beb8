"""What handing a shard to a worker costs: local processes against tasks of a Ray cluster on this machine.

    python benchmarks/executors.py [--quick]

The work is none, so all that is timed is the way there and back. `large` sends a megabyte along, as chunk does with
what it read. The last line is one JSON object; `ratio` is Ray's time a shard to that of local processes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from datagen.executors import local, ray
from datagen.executors.local import Map

WORKERS = 2
MEGABYTE = "x" * 1_000_000


def nothing(item: object) -> int:
    """The work."""
    return 1


def unheard(n: int) -> None:
    """Where ticks go."""


@contextmanager
def on_ray() -> Iterator[Map]:
    """The map of tasks alone."""
    with ray.cluster(None, WORKERS, unheard) as (on_cpus, _):
        yield on_cpus


def seconds(mapped: Map, items: list[object]) -> float:
    """A shard's, once the workers are warm."""
    list(mapped(nothing, items[: 4 * WORKERS]))
    began = time.perf_counter()
    assert sum(mapped(nothing, items)) == len(items)
    return (time.perf_counter() - began) / len(items)


def main() -> None:
    """Print the table, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the shards")
    n = 200 if parser.parse_args().quick else 2000
    executors: dict[str, Callable] = {"local": lambda: local.pool(WORKERS), "ray": on_ray}
    sizes: dict[str, list[object]] = {"small": list(range(n)), "large": [MEGABYTE] * (n // 10)}
    figures: dict[str, dict[str, float]] = {}
    for name, executor in executors.items():
        with executor() as mapped:
            figures[name] = {size: 1000 * seconds(mapped, items) for size, items in sizes.items()}
    for size in sizes:
        print(f"{size:6} " + "  ".join(f"{name} {figures[name][size]:.2f} ms a shard" for name in executors))
    ratio = {size: round(figures["ray"][size] / figures["local"][size], 2) for size in sizes}
    print(
        json.dumps(
            {name: {k: round(v, 3) for k, v in found.items()} for name, found in figures.items()} | {"ratio": ratio}
        )
    )


if __name__ == "__main__":
    main()
