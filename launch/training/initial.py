"""Begin a run with the encoder of another one.

Cost: reading the weights.

Shapes: S speakers of the shard set.
"""

import dataclasses
from pathlib import Path

from torch import Tensor

from accent.errors import AccentError
from accent.files import write_text
from accent.inference.model_file import load_model
from accent.model.build import AccentEncoder
from accent.model.config import ModelConfig
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.run_config import PHONES_FOLDER
from launch.training.tasks.phone_task import deal_halves
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split

HEADS_SPLIT = "heads.split.json"
"""File in a run's folder: who trained the phone heads that it began with."""
EMBEDDING_FIELDS = ("accents", "views", "directions", "embedding_dim", "dropout", "accent_scale")
"""Fields of `ModelConfig` that a phonetic encoder takes from the new run while its embedding was never trained."""


def begin_with(init: Path, config: ModelConfig, shard_set: ShardSet) -> tuple[AccentEncoder, Tensor | None]:
    """Return the encoder of a run, and who trained which of its phone heads.

    Args:
        init: the folder of a run; for the branch `phones` of one with `objective=phones`, or of one that began so.
        config: the encoder that the configuration asks for.
        shard_set: what is trained on now.

    Returns:
        The encoder as it was trained; if only its phone heads were, with the embedding that the configuration asks for.
        And half_S [S], or None for the branch `frames`.

    Raises:
        AccentError: no such run, or one of another branch.
    """
    encoder, _ = load_model(init)
    if encoder.config.branch != config.branch:
        raise AccentError(
            f"{init}: its encoder is of the branch {encoder.config.branch}, the configuration asks for "
            f"{config.branch}; give model.branch={encoder.config.branch}, or another init"
        )
    if not isinstance(encoder, PhoneticEncoder):
        return encoder, None
    if not encoder.embedding.measured:
        asked = {name: getattr(config, name) for name in EMBEDDING_FIELDS}
        heads, encoder = encoder, PhoneticEncoder(dataclasses.replace(encoder.config, **asked))
        encoder.recogniser, encoder.normalisation = heads.recogniser, heads.normalisation
    return encoder, trained_halves(init, shard_set)


def trained_halves(run: Path, shard_set: ShardSet) -> Tensor:
    """Return which phone head of a run each speaker of a shard set has trained.

    Args:
        run: the folder of the run that trained the heads, or of the one that trained them first.
        shard_set: the one that the heads were trained on.

    Returns:
        int64 [S]; `BOTH` for speakers who trained neither.
    """
    split = _heads_split(run)
    return deal_halves(shard_set, [] if split is None else Split.load(split).train)


def keep_heads_split(init: Path, run: Path) -> None:
    """Write into a run's folder who trained the phone heads that it began with; nothing where nobody knows."""
    split = _heads_split(init)
    if split is not None:
        write_text(run / HEADS_SPLIT, split.read_text(encoding="utf-8"))


def _heads_split(run: Path) -> Path | None:
    places = (run / HEADS_SPLIT, run / PHONES_FOLDER / "split.json", run / "split.json")
    return next((file for file in places if file.is_file()), None)
