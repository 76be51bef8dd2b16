"""From a shard set to its first batch nothing is made for each row: counted at two lengths of the index."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.summary import summary
from shards.splits.split import make_split
from tests.support.shard_sets.long_index import make_long_shard_set

SHORT, LONG = 12_000, 24_000
CROPS = BatchConfig(crop_frames=10, workers=0, evaluation_frames_per_batch=200)
WAYS: dict[str, tuple[Callable[[ShardSet], Any], int]] = {
    "open": (lambda shard_set: ShardSet.open(shard_set.root), 40),
    "split": (make_split, 1),
    "inspect": (summary, 60),
    "train": (lambda shard_set: TrainingLoader(shard_set, make_split(shard_set), CROPS), 70),
    "resume": (lambda shard_set: TrainingLoader(shard_set, None, CROPS).rows(10**6), 90),
    "evaluate": (lambda shard_set: EvaluationLoader(shard_set, None, CROPS, 1, 4), 90),
}
"""What is done, and at most how many bytes a row it may take at its peak."""


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> list[ShardSet]:
    """Two lengths; every row has a prompt of its own, and the prompts a file."""
    folder = tmp_path_factory.mktemp("long")
    made = []
    for rows in (SHORT, LONG):
        (folder / str(rows)).mkdir()
        made.append(make_long_shard_set(folder / str(rows), rows, 3, 4, prompts=None, lengths=(5, 30)))
    return made


@pytest.mark.parametrize("name", WAYS)
def test_neither_objects_nor_much_memory_grow_with_the_rows(sets: list[ShardSet], name: str) -> None:
    way, most_bytes = WAYS[name]
    objects, peaks = zip(*(cost(way, shard_set) for shard_set in sets), strict=True)
    # One object for a shard of 256 rows is a few for its entry in the manifest, no more.
    assert (objects[1] - objects[0]) / (LONG - SHORT) < 0.1
    assert (peaks[1] - peaks[0]) / (LONG - SHORT) < most_bytes


def cost(way: Callable[[ShardSet], Any], shard_set: ShardSet) -> tuple[int, int]:
    """Return the Python objects that are left of what is done, and the most bytes held on the way."""
    opened = ShardSet.open(shard_set.root)
    way(ShardSet.open(shard_set.root))
    gc.collect()
    before = sys.getallocatedblocks()
    kept = way(opened)
    gc.collect()
    objects = sys.getallocatedblocks() - before
    del kept
    opened = ShardSet.open(shard_set.root)
    tracemalloc.start()
    try:
        way(opened)
        return objects, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_two_hundred_accents_of_a_thousand_speakers_fill_a_batch_of_96(tmp_path: Path) -> None:
    # A hundredth of the speakers: the deck of an accent is asked for only where the accent is drawn.
    shard_set = make_long_shard_set(tmp_path, 4_000, 200, 10, lengths=(5, 30))
    config = BatchConfig(
        accents_per_batch=6, speakers_per_accent=4, utterances_per_speaker=4, crop_frames=10, workers=0
    )
    loader = TrainingLoader(shard_set, None, config)
    for step in (0, 10**6):
        numbers_B = loader.rows(step).numbers_B
        accent_N, speaker_N = (shard_set.index[column][numbers_B] for column in ("accent", "speaker"))
        assert len(numbers_B) == 96 and len(np.unique(accent_N)) == 6 and len(np.unique(speaker_N)) == 24
