"""Where in its document the evidence of a dataset lies: a histogram, from the beginning to the end.

    python examples/evidence_positions.py runs/quickstart

A model that is rewarded for evidence should find it anywhere. A dataset whose evidence gathers at the beginning teaches
it to look there.
"""

import sys

from datagen import Run

BINS = 10


def histogram(run: Run) -> list[int]:
    """How many pieces of evidence lie in each tenth of their prompt's chunks."""
    counts = [0] * BINS
    for extra in run.dataset("train")["extra_info"]:
        for chunk in extra["ref_chunks"]:
            counts[chunk * BINS // extra["n_chunks"]] += 1
    return counts


if __name__ == "__main__":
    counts = histogram(Run(sys.argv[1]))
    for i, n in enumerate(counts):
        print(f"{i * 100 // BINS:3} % {'█' * round(40 * n / max(counts))} {n}")
