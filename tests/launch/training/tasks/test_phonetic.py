"""Runs of the branch `phones`: heads, then the embedding; resumed, begun with another run, on two processes."""

import json
from pathlib import Path

import pytest
import torch

from accent.configuration import load
from accent.errors import AccentError
from accent.inference.model_file import load_model
from accent.model.phonetic.recogniser import BOTH
from launch.run_config import RunConfig, write_config
from launch.training.initial import trained_halves
from launch.training.run import train_run
from launch.training.tasks.phone_task import crop_states, deal_halves
from shards.loading.config import BatchConfig
from shards.loading.loader import TrainingLoader
from shards.shard_set.manifest import ShardSet
from tests.support.shard_sets.synthetic import make_shard_set
from tests.support.training.ranks import Ranks
from tests.support.training.small_runs import ACCENTS, assert_same_weights, last_weights, small_shards

SMALL = {
    "epochs": 3,
    "validate_every_epochs": 3,
    "model": {"preset": "phonetic", "phone_channels": 8, "directions": 8, "embedding_dim": 8, "dropout": 0.0},
    "batch": {"speakers_per_accent": 2, "utterances_per_speaker": 2, "crop_frames": 80},
    "phones": {
        "epochs": 1,
        "batch": {"speakers_per_accent": 2, "utterances_per_speaker": 1, "crop_frames": 60},
    },
    "optimizer": {"lr": 3e-3, "warmup_steps": 2},
    "checkpoints": {"every_steps": 2},
}


@pytest.fixture(scope="module")
def phonetic_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phonetic")
    return small_shards(folder, phones=True, phone_frames=6, lengths=(50, 80)).root


def configured(run: Path, shards: Path, *words: str) -> RunConfig:
    return load(RunConfig, SMALL, [f"run={run}", f"shards={shards}", "device=cpu", *words])


@pytest.fixture(scope="module")
def trained(phonetic_shards, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    train_run(configured(run, phonetic_shards))
    return run


def test_one_command_trains_heads_then_embedding(trained):
    heads, _ = load_model(trained / "phones")
    whole, _ = load_model(trained)
    assert whole.config.units == heads.config.units and len(whole.config.units) > 10
    for name, value in heads.recogniser.state_dict().items():
        assert torch.equal(value, whole.recogniser.state_dict()[name]), name
    assert whole.embedding.directions_XQ.abs().sum() > 0
    assert not torch.equal(whole.embedding.map.weight, heads.embedding.map.weight)


def test_every_training_speaker_trains_one_head_and_no_other_speaker_any(phonetic_shards, trained):
    shard_set = ShardSet.open(phonetic_shards)
    split = json.loads((trained / "split.json").read_text())
    half_S = deal_halves(shard_set, split["train"])
    for speaker, half in zip(shard_set.speakers, half_S.tolist(), strict=True):
        assert (half == BOTH) == (speaker not in split["train"])
    sizes = [int((half_S == half).sum()) for half in (0, 1)]
    assert abs(sizes[0] - sizes[1]) <= 1


def test_a_finished_run_started_again_changes_nothing(trained, phonetic_shards):
    before = last_weights(trained)
    train_run(configured(trained, phonetic_shards))
    after = last_weights(trained)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_longer_run_resumed_is_the_longer_run(phonetic_shards, trained, tmp_path):
    words = ("optimizer.final_lr=3e-3", f"init={trained / 'phones'}")
    train_run(configured(tmp_path / "short", phonetic_shards, *words, "epochs=2", "validate_every_epochs=4"))
    train_run(configured(tmp_path / "short", phonetic_shards, *words, "epochs=4", "validate_every_epochs=4"))
    train_run(configured(tmp_path / "whole", phonetic_shards, *words, "epochs=4", "validate_every_epochs=4"))
    assert_same_weights(tmp_path / "short", tmp_path / "whole")


@pytest.mark.parametrize("part", ["phone heads", "embedding"])
def test_two_processes_train_as_one_with_dropout(phonetic_shards, trained, tmp_path, part):
    alone = tmp_path / "alone"
    words = {
        "embedding": (f"init={trained / 'phones'}", "model.dropout=0.3"),
        "phone heads": ("objective=phones", "model.phone_dropout=0.2", "optimizer.epsilon=1e-3"),
    }[part]
    train_run(configured(alone, phonetic_shards, *words))
    config = tmp_path / "run.yaml"
    write_config(configured(tmp_path / "run", phonetic_shards, *words), config)
    with Ranks([str(config)], tmp_path / "printed", 2, 0) as ranks:
        assert ranks.wait() == [0, 0], ranks.printed()
    mine, theirs = last_weights(alone), last_weights(tmp_path / "run")
    assert mine.keys() == theirs.keys()
    for name in mine:
        torch.testing.assert_close(mine[name].double(), theirs[name].double(), atol=1e-6, rtol=0)


def test_a_run_of_more_accents_begins_with_one_of_fewer(phonetic_shards, trained, tmp_path):
    few = make_shard_set(tmp_path / "two", {"Arabic": ["a0", "a1", "a2", "a3"], "Hindi": ["h0", "h1", "h2", "h3"]}, 4)
    train_run(configured(tmp_path / "few", few.root, f"init={trained / 'phones'}"))
    result = train_run(configured(tmp_path / "many", phonetic_shards, f"init={tmp_path / 'few'}"))
    grown, _ = load_model(result.run)
    assert grown.config.accents == ("Arabic", "Hindi", "Spanish")
    # What the map was trained on stays; measured anew, it would be another embedding.
    begun, _ = load_model(tmp_path / "few")
    assert torch.equal(grown.embedding.directions_XQ, begun.embedding.directions_XQ)


def test_phone_heads_take_any_embedding(phonetic_shards, trained, tmp_path):
    words = (f"init={trained / 'phones'}", "model.views=[spectrum,duration]", "model.embedding_dim=4", "epochs=1")
    train_run(configured(tmp_path / "run", phonetic_shards, *words))
    model, _ = load_model(tmp_path / "run")
    assert tuple(model.fusion_weights()) == ("spectrum", "duration")
    assert model.config.embedding_dim == 4


def test_a_run_remembers_who_trained_the_heads_it_began_with(phonetic_shards, trained, tmp_path):
    few = make_shard_set(tmp_path / "two", {"Arabic": ["x0", "x1", "x2", "x3"], "Hindi": ["y0", "y1", "y2", "y3"]}, 4)
    train_run(configured(tmp_path / "other", few.root, f"init={trained / 'phones'}"))
    # None of its own training speakers trained a head, so both heads read each of them.
    assert (trained_halves(tmp_path / "other", few) == BOTH).all()
    shard_set = ShardSet.open(phonetic_shards)
    assert torch.equal(trained_halves(tmp_path / "other", shard_set), trained_halves(trained, shard_set))


def test_speech_without_phones_gives_no_label_and_takes_none_away(tmp_path):
    aligned = [f"{accent[0]}{number}" for accent in ACCENTS for number in (0, 1)]
    shards = small_shards(tmp_path / "shards", phones=aligned, phone_frames=6, lengths=(50, 80)).root
    shard_set = ShardSet.open(shards)
    words = ("objective=phones", "split.test_speakers=1", "split.validation_speakers=1", "checkpoints.every_steps=1")
    train_run(configured(tmp_path / "run", shards, *words, "epochs=1", "validate_every_epochs=1"))
    heads, _ = load_model(tmp_path / "run")
    loader = TrainingLoader(shard_set, config=BatchConfig(utterances_per_speaker=2, crop_frames=60))
    seen = set()
    for batch in loader.steps(0, 4):
        state_BT = crop_states(heads.recogniser.inventory, batch)
        for row in range(len(batch.sample_B)):
            speaker = shard_set.speakers[int(batch.speaker_B[row])]
            assert bool((state_BT[row] >= 0).any()) == (speaker in aligned)
            seen.add(speaker in aligned)
    assert seen == {True, False}


def test_shards_without_alignments_are_told_what_to_do(tmp_path):
    shards = small_shards(tmp_path / "shards").root
    with pytest.raises(AccentError, match="accent align CORPUS OUT"):
        train_run(configured(tmp_path / "run", shards))


def test_a_run_of_another_branch_is_refused(phonetic_shards, trained, tmp_path):
    words = (f"init={trained}", "model.preset=tiny", "model.branch=frames")
    with pytest.raises(AccentError, match=r"give model.branch=phones"):
        train_run(load(RunConfig, None, [f"run={tmp_path}", f"shards={phonetic_shards}", "device=cpu", *words]))
