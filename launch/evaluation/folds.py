"""The folds of a protocol, frozen in the output folder before anything is trained."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from accent.errors import AccentError
from accent.files import write_text
from launch.run_config import PACKAGED
from shards.shard_set.manifest import ShardSet
from shards.splits.folds import make_folds
from shards.splits.split import Split


@dataclass(frozen=True)
class FoldConfig:
    """A protocol and what is drawn inside each fold's training speakers."""

    protocol: str = "5"
    """leave-one-speaker-out, leave-one-speaker-per-accent-out, a number of folds, or a file of folds."""
    seed: int = 0
    """Of the deal, and of the choice of validation speakers and prompts."""
    validation_speakers: int = 1
    """Speakers of each accent that choose the settings; drawn from the fold's training speakers."""
    held_out_prompts: float = 0.0
    """Share of the prompts that a fold tests on and never trains on."""
    training_speakers: int | None = None
    """Train on so many speakers of each fold only; None takes all."""

    def describe(self) -> dict[str, Any]:
        """Return the protocol as a dictionary ready for JSON."""
        return asdict(self)


def freeze_folds(output: Path, shard_set: ShardSet, config: FoldConfig) -> list[Split]:
    """Make the folds and write them down, or check that those written down are the same.

    Args:
        output: the folder: `folds.json`, and `fold-K.split.json` of every fold.
        shard_set: whose speakers.
        config: the protocol.

    Returns:
        The folds.

    Raises:
        AccentError: the protocol does not fit the shard set, or the folder holds results of other folds.
    """
    splits = make_folds(
        shard_set,
        _find_file(config.protocol),
        config.seed,
        config.validation_speakers,
        config.held_out_prompts,
        config.training_speakers,
    )
    frozen = json.dumps({"protocol": config.describe(), "folds": [asdict(split) for split in splits]}, indent=1) + "\n"
    path = output / "folds.json"
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))["folds"]
        if kept != json.loads(frozen)["folds"]:
            raise AccentError(f"{output}: holds results of other folds; give another folder (--output)")
    else:
        write_text(path, frozen)
    for number, split in enumerate(splits):
        file = output / f"fold-{number}.split.json"
        if not file.is_file():
            split.save(file)
    return splits


def check_heads(heads: Path, split: Split, fold: int) -> None:
    """Make sure that phone heads have heard none of the test and validation speakers of a fold.

    Args:
        heads: folder of the run that trained them.
        split: the fold.
        fold: its number.

    Raises:
        AccentError: the heads are missing, or have heard one of them.
    """
    if not (heads / "model").is_dir():
        raise AccentError(f"{heads}: no phone heads; run accent crossval with these folds and seeds first")
    heard = set(Split.load(heads / "split.json").train) & {*split.test, *split.validation}
    if heard:
        raise AccentError(f"{heads}: its phone heads have heard {min(heard)}, whom fold {fold} holds out")


def _find_file(protocol: str) -> str:
    """Return the path of a file of folds that comes with the package, if there is none in the working folder."""
    given = Path(protocol)
    if given.parts[:1] != ("configs",) or given.is_file():
        return protocol
    packaged = PACKAGED.joinpath(*given.parts[1:])
    return str(packaged) if packaged.is_file() else protocol
