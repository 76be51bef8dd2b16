"""Reading a batch is short to follow: from `for batch in loader` to the bytes of a sample, few files run."""

import sys
import threading
from pathlib import Path
from types import FrameType

import pytest

from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from tests.conftest import REPOSITORY

PACKAGES = ("accent", "shards", "launch")
MOST_FILES = 6
"""Of the project, in the consumer's thread and in those that read ahead together."""


def files_on_the_way(loader: TrainingLoader | EvaluationLoader) -> set[str]:
    """Return the project's files of which a function runs until the first batch of a loader is there."""
    files = set[str]()

    def note(frame: FrameType, event: str, argument: object) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and any(path.is_relative_to(REPOSITORY / package) for package in PACKAGES):
            files.add(path.relative_to(REPOSITORY).as_posix())

    # Threads that begin from here on are seen too.
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        for _ in loader:
            break
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return files


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("settings", [{}, {"verify": True}, {"same_prompts": True}], ids=str)
def test_a_training_batch_takes_few_files_from_the_loader_to_the_bytes(
    shard_set: ShardSet, workers: int, settings: dict[str, bool]
) -> None:
    files = files_on_the_way(TrainingLoader(shard_set, None, BatchConfig(workers=workers, **settings)))
    assert {"shards/loading/loader.py", "shards/sampling/sampler.py", "shards/shard_set/reader.py"} <= files
    assert len(files) <= MOST_FILES, sorted(files)


@pytest.mark.parametrize("workers", [0, 2])
def test_an_evaluation_batch_takes_no_more(shard_set: ShardSet, workers: int) -> None:
    files = files_on_the_way(EvaluationLoader(shard_set, None, BatchConfig(workers=workers)))
    assert "shards/shard_set/reader.py" in files
    assert len(files) < MOST_FILES, sorted(files)
