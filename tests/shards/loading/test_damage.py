import dataclasses
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from shards.loading.batch import Batch
from shards.loading.config import BatchConfig
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.shard_set.manifest import ShardSet
from tests.support.shard_sets.batches import same
from tests.support.shard_sets.synthetic import make_shard_set

CROP = 30
SMALL = BatchConfig(crop_frames=CROP, evaluation_frames_per_batch=150)


def damaged_set(folder: Path, number: int, at: int = 7) -> ShardSet:
    """A shard set with one bit of a sample's frames changed."""
    shard_set = make_shard_set(folder, {"a": ["a0", "a1"], "b": ["b0", "b1"]}, phones=True, lengths=(40, 60))
    row = shard_set.index[number]
    with (folder / shard_set.manifest.shards[row["shard"]].name).open("r+b") as shard:
        shard.seek(int(row["frames_offset"]) + at)
        byte = shard.read(1)[0]
        shard.seek(-1, os.SEEK_CUR)
        shard.write(bytes([byte ^ 64]))
    return shard_set


@pytest.mark.parametrize("workers", [0, 2])
def test_a_damaged_sample_stops_evaluation_with_one_line_that_names_it(tmp_path: Path, workers: int) -> None:
    loader = EvaluationLoader(damaged_set(tmp_path, 5), None, dataclasses.replace(SMALL, workers=workers))
    with pytest.raises(AccentError, match=r"shard-000000.tar: sample 5: damaged") as caught:
        list(loader)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_sees_damage_outside_the_crop_when_it_is_told_to_verify(tmp_path: Path, workers: int) -> None:
    shard_set = damaged_set(tmp_path, 5)
    config = BatchConfig(crop_frames=3, workers=workers)
    loader = TrainingLoader(shard_set, None, config)
    assert 5 in {int(number) for batch in loader for number in batch.sample_B}
    with pytest.raises(AccentError, match=r"sample 5: damaged"):
        list(TrainingLoader(shard_set, None, dataclasses.replace(config, verify=True)))


@pytest.mark.parametrize("workers", [0, 3])
def test_a_damaged_sample_that_is_skipped_is_a_row_without_weight_counted_and_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, workers: int
) -> None:
    good = make_shard_set(tmp_path / "good", {"a": ["a0", "a1"], "b": ["b0", "b1"]}, phones=True, lengths=(40, 60))
    config = BatchConfig(crop_frames=30, verify=True, damaged="skip", workers=workers)
    loader = TrainingLoader(damaged_set(tmp_path / "bad", 5), None, config)
    met = 0
    with caplog.at_level(logging.WARNING):
        for batch, whole in zip(loader.steps(0, 6), TrainingLoader(good, None, config).steps(0, 6), strict=True):
            hit = whole.sample_B == 5
            met += int(hit.sum())
            assert torch.equal(batch.row_valid_B, ~hit)
            assert (batch.frames_BTD[hit] == 0).all() and batch.valid_BT[hit].sum() == hit.sum()
            assert (batch.phones_BT[hit] == -1).all() and (batch.speaker_B[hit] == 0).all()
            assert same(Batch(*(column[~hit] for column in batch)), Batch(*(column[~hit] for column in whole)))
            assert loader.skipped == met
    assert met > 1
    lines = [record.getMessage() for record in caplog.records if record.name == "shards.loading.damage"]
    assert len(lines) == 1 and "sample 5: damaged" in lines[0]


@pytest.mark.parametrize("damaged", ["stop", "skip"])
def test_a_shard_that_vanishes_stops_the_run_under_every_policy(tmp_path: Path, damaged: str) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1"]})
    (tmp_path / "shard-000000.tar").unlink()
    loader = TrainingLoader(shard_set, None, BatchConfig(damaged=damaged, workers=1))
    with pytest.raises(AccentError, match=r"shard-000000.tar: the shard cannot be opened \(No such file"):
        next(iter(loader))


@pytest.mark.parametrize("damaged", ["stop", "skip"])
def test_a_shard_cut_short_during_the_run_follows_the_policy(tmp_path: Path, damaged: str) -> None:
    shard_set = make_shard_set(tmp_path, {"a": ["a0", "a1"]}, lengths=(40, 40))
    last = int(np.argmax(shard_set.index["frames_offset"]))
    os.truncate(tmp_path / "shard-000000.tar", int(shard_set.index["frames_offset"][last]) + 100)
    loader = TrainingLoader(shard_set, None, BatchConfig(damaged=damaged, crop_frames=40))
    if damaged == "stop":
        with pytest.raises(AccentError, match=f"sample {last}: the shard ends too early"):
            list(loader)
    else:
        assert {int(number) for batch in loader for number in batch.sample_B} == set(range(8)) - {last} | {-1}
        assert loader.skipped == loader.steps_per_epoch


@pytest.mark.parametrize("damage", ["short", "missing"])
def test_a_shard_short_or_missing_is_named_before_training(tmp_path: Path, damage: str) -> None:
    make_shard_set(tmp_path, {"a": ["a0", "a1"]}, samples_per_shard=3)
    shard = tmp_path / "shard-000001.tar"
    if damage == "short":
        os.truncate(shard, shard.stat().st_size - 1)
    else:
        shard.unlink()
    with pytest.raises(AccentError, match=r"shard-000001.tar: (missing|\d+ bytes where the manifest says)"):
        ShardSet.open(tmp_path)


def test_evaluation_can_skip_too(tmp_path: Path) -> None:
    shard_set = damaged_set(tmp_path, 5)
    loader = EvaluationLoader(shard_set, None, dataclasses.replace(SMALL, damaged="skip"))
    seen = sorted(int(number) for batch in loader for number in batch.sample_B[batch.row_valid_B])
    assert seen == [number for number in range(len(shard_set)) if number != 5]
    assert loader.skipped == 1
