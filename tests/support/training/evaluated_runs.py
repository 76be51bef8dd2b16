"""Run folders with an untrained model, as training would leave them, shared by the tests of evaluation."""

from collections.abc import Sequence
from pathlib import Path

import torch

from accent.configuration import load
from accent.features.config import FeatureConfig
from accent.inference.model_file import save_model
from accent.model.config import ModelConfig
from accent.model.encoder import EnhancedAccentEncoder
from launch.run_config import RunConfig, write_config
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split
from tests.support.shard_sets.synthetic import make_shard_set

ACCENTS = ("Arabic", "Hindi", "Spanish")
SIZES = {"hidden": 16, "layers": 1, "heads": 2, "embedding_dim": 12}


def synthetic(folder: Path, speakers: int = 5, accents: Sequence[str] = ACCENTS, **options) -> ShardSet:
    """Speakers A0, A1 ... of each accent, six utterances each."""
    named = {accent: [f"{accent[0]}{number}" for number in range(speakers)] for accent in accents}
    return make_shard_set(folder, named, 6, lengths=(80, 500), **options)


def split_of(shard_set: ShardSet, test: int = 2, held_out_prompts: Sequence[str] = ()) -> Split:
    """The first speakers of each accent are tested, the next one validates, the rest trains."""
    numbers = {name: int(name[1:]) for name in shard_set.speakers}
    return Split(
        train=tuple(name for name in shard_set.speakers if numbers[name] > test),
        validation=tuple(name for name in shard_set.speakers if numbers[name] == test),
        test=tuple(name for name in shard_set.speakers if numbers[name] < test),
        held_out_prompts=tuple(held_out_prompts),
    )


def untrained(accents: Sequence[str] = ACCENTS, seed: int = 0) -> EnhancedAccentEncoder:
    """A tiny encoder with random weights."""
    torch.manual_seed(seed)
    return EnhancedAccentEncoder(ModelConfig.from_preset("tiny", **SIZES, accents=tuple(accents)))


def make_run(
    run: Path, shard_set: ShardSet, split: Split, model: EnhancedAccentEncoder | None = None, **features
) -> Path:
    """Write the run folder: model, split and configuration; normalised by the training speakers."""
    model = model or untrained(shard_set.accents)
    statistics = shard_set.statistics(split.train)
    model.set_normalisation(statistics.mean_D, statistics.std_D)
    save_model(model, run / "model", FeatureConfig(**features))
    split.save(run / "split.json")
    write_config(load(RunConfig, {"run": str(run), "shards": str(shard_set.root)}), run / "config.yaml")
    return run
