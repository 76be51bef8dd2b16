"""A loss that is not finite changes no weights, on any process."""

import json
import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from accent import EnhancedAccentEncoder, ModelConfig
from accent.errors import AccentError
from accent.losses import AccentObjective
from accent.model.encoder import EncoderOutput
from launch import train_accent_encoder
from launch.training.run import train_run
from shards.loading.batch import Batch
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from tests.support.training.small_runs import last_weights, small_config, small_loaders
from tests.support.training.two_processes import started


def test_a_loss_that_is_not_finite_stops_before_the_weights_change(shards, tmp_path, monkeypatch):
    genuine, calls = AccentObjective.forward, []
    model = EnhancedAccentEncoder(ModelConfig.from_preset("tiny"))
    weights: dict[str, torch.Tensor] = {}

    def poisoned(objective: AccentObjective, *arguments: object) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        calls.append(0)
        total, losses = genuine(objective, *arguments)
        if len(calls) == 4:
            weights.update({name: value.clone() for name, value in model.state_dict().items()})
            total = total * math.nan
        return total, losses

    monkeypatch.setattr(AccentObjective, "forward", poisoned)
    with pytest.raises(AccentError, match=r"step 4: the loss is not finite, nothing was updated.*optimizer\.lr"):
        train_accent_encoder(model, small_loaders(shards)[0], None, num_epochs=3, device="cpu", run=tmp_path / "run")
    assert weights
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())


def test_the_batch_that_did_it_is_kept_with_its_rows_and_no_more_than_a_few(shards, tmp_path, monkeypatch, capsys):
    genuine = TrainingLoader.steps

    def steps(loader: TrainingLoader, first: int, last: int) -> Iterator[Batch]:
        for number, batch in zip(range(first, last), genuine(loader, first, last), strict=True):
            if number % 2:
                batch.frames_BTD[3, 5, 7] = math.inf
            yield batch

    def forward(encoder: EnhancedAccentEncoder, frames_BTD: torch.Tensor, *others: object) -> EncoderOutput:
        output = encode(encoder, frames_BTD, *others)
        bad_B1 = torch.where(frames_BTD[:, 5, 7:8] == math.inf, math.nan, 0.0)
        return output._replace(embedding_BE=output.embedding_BE + bad_B1)

    encode = EnhancedAccentEncoder.forward
    monkeypatch.setattr(EnhancedAccentEncoder, "forward", forward)
    monkeypatch.setattr(TrainingLoader, "steps", steps)
    config = small_config(tmp_path / "run", shards, "not_finite=skip", "gradient_accumulation_steps=2", "epochs=8")
    train_run(config)
    folders = sorted((tmp_path / "run" / "not_finite").iterdir())
    assert [folder.name for folder in folders] == ["step_00000001", "step_00000002", "step_00000003"]
    record = json.loads((folders[1] / "rank_0.json").read_text())
    assert (record["step"], record["rank"], [one["batch"] for one in record["batches"]]) == (2, 0, [2, 3])
    good, bad = record["batches"]
    assert math.isfinite(good["loss"]) and bad["loss"] is None
    assert [row["row"] for row in bad["rows"] if row["infinite_values"]] == [3]
    assert [row["row"] for row in bad["rows"] if not row["embedding_is_finite"]] == [3]
    told = f"the batch of process 0, 1 row with an embedding that is not finite, is in {folders[1]}"
    assert told in capsys.readouterr().out

    # Each row is that of the shard set, as it is written there.
    shard_set = ShardSet.open(shards)
    reader, kept = ShardReader(shard_set), load_file(folders[1] / "rank_0.safetensors")
    for place, batch in enumerate(record["batches"]):
        for row in batch["rows"]:
            known = reader.metadata(row["sample"])
            assert (row["key"], row["speaker"], row["accent"]) == (known["key"], known["speaker"], known["accent"])
            frames_TD = reader.frames(row["sample"], row["first_frame"], row["frames"])
            kept_TD = kept[f"{place}.frames_BTD"][row["row"], : row["frames"]].numpy()
            differing = (frames_TD != kept_TD) & ~(np.isnan(frames_TD) & np.isnan(kept_TD))
            assert np.argwhere(differing).tolist() == ([[5, 7]] if place == 1 and row["row"] == 3 else [])


def _not_a_number_on_process_1(rank: int) -> None:
    genuine, calls = AccentObjective.forward, []

    def forward(objective, *arguments):
        total, losses = genuine(objective, *arguments)
        # The first call fixes DDP's buckets, or is the first step of ZeRO.
        calls.append(0)
        return (total * torch.nan if rank == 1 and len(calls) == 6 else total), losses

    AccentObjective.forward = forward


@pytest.mark.slow
@pytest.mark.parametrize("zero_stage", [0, 3])
def test_a_loss_that_is_not_finite_on_one_process_stops_all_before_an_update(shards, tmp_path, zero_stage):
    with started(tmp_path, shards, zero_stage=zero_stage, sabotage=_not_a_number_on_process_1) as ranks:
        assert ranks.wait() == [2, 2], ranks.printed()
        step = 6 if zero_stage else 5
        assert f"step {step}: the loss is not finite, nothing was updated" in ranks.printed(0)
        # The batch of the process that did it is kept, and no other.
        kept = tmp_path / "run" / "not_finite" / f"step_{step:08d}"
        assert f"the batch of process 1 is in {kept};" in ranks.printed(0)
        assert {path.name for path in kept.iterdir()} == {"rank_1.safetensors", "rank_1.json"}
    # Step 5 was saved: what is on the disk is good, and the run resumes from there.
    with started(tmp_path, shards, zero_stage=zero_stage) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert ("resuming at step 5" in ranks.printed(0)) == bool(zero_stage)


@pytest.mark.parametrize("zero_stage", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_a_loss_that_is_not_finite_on_one_process_is_left_out_on_all(shards, tmp_path, zero_stage):
    options = {"zero_stage": zero_stage, "sabotage": _not_a_number_on_process_1}
    with started(tmp_path, shards, "not_finite=skip", **options) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
        assert "1 of 2 steps not finite, left out" in ranks.printed(0)
    assert all(value.isfinite().all() for value in last_weights(tmp_path / "run").values())
