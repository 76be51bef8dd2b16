"""The folder of a run: one run, and one training at a time.

    config.yaml       every value of the configuration, as resolved: the accents found, the precision that ran
    split.json        which speakers train, validate and test
    environment.json  what each start ran on, see `launch.runtime.environment`
    checkpoints/      the state, see `launch.training.checkpoint`
    model/            the weights of the best validation
    tensorboard/      curves and pictures, see `launch.training.monitoring`; wandb/ and mlruns/ where they are asked for
    profile/          traces, where they are asked for
    health.json       how the run is, see `launch.training.health`; stacks/ and not_finite/ where something went wrong
    restarts.json     how often a job script has started it again
    .lock             held while a training is at work; names process, host and Slurm job

Cost: a few small files a start.
"""

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.files import writable_folder
from accent.lock import locked
from launch.run_config import RunConfig, write_config
from launch.runtime.agreement import Runtime
from launch.training.identity import shard_set_fingerprint, what_differs
from launch.training.saved_state import DamagedCheckpointError, Identity, complete_checkpoints, read_state
from shards.loading.protocol import TrainingBatches
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split

LOCK_NAME = ".lock"
_held: set[Path] = set()
"""Run folders that this process trains in: `train_accent_encoder` takes the lock that `train_run` may hold already."""


@contextmanager
def one_training(run: Path) -> Iterator[None]:
    """Keep other processes from training in the same folder; a holder that is gone blocks nobody.

    Args:
        run: the folder; made if it is missing.

    Raises:
        AccentError: another process trains there; the line names it.  Or the folder cannot be written.
    """
    key = run.resolve()
    if key in _held:
        yield
        return
    writable_folder(run)
    job = os.environ.get("SLURM_JOB_ID")
    with locked(run / LOCK_NAME, f"training this run{f' (Slurm job {job})' if job else ''}"):
        _held.add(key)
        try:
            yield
        finally:
            _held.discard(key)


def resolve(config: RunConfig, train_loader: TrainingBatches, runtime: Runtime) -> RunConfig:
    """Return the configuration with what the data and the launcher decide: accents, length of crops, precision."""
    return dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, accents=tuple(train_loader.accents)),
        batch=dataclasses.replace(config.batch, crop_frames=train_loader.crop_frames),
        mixed_precision=runtime.precision,
    )


def prepare_run_folder(run: Path, config: RunConfig, split: Split, shard_set: ShardSet) -> None:
    """Check that a folder is new or holds the same run, then write what the run is; called by the first process.

    Args:
        run: the folder; its lock is held.
        config: the run, resolved; written to `config.yaml`.
        split: its speakers; written to `split.json`.
        shard_set: what it trains on.

    Raises:
        AccentError: the folder holds another run, or checkpoints that `resume=false` would lose; then nothing in it
            has changed.
    """
    file = run / "config.yaml"
    found = complete_checkpoints(run / "checkpoints")
    if file.is_file():
        differences = what_differs(to_mapping(load(RunConfig, file)), to_mapping(config))
        if differences:
            raise AccentError(
                f"{run}: holds another run ({'; '.join(differences)}); give a new folder: run=..., or remove this one"
            )
    elif found:
        raise AccentError(f"{run}: holds checkpoints without a config.yaml; give a new folder: run=...")
    if found and not config.resume:
        raise AccentError(
            f"{run}: holds checkpoints up to {found[-1].name}; leave resume on to continue from there, give a new "
            "folder: run=..., or remove this one"
        )
    identity = _newest_identity(found)
    if identity is not None:
        saved, wanted = identity["shards"], shard_set_fingerprint(shard_set)
        if saved != wanted:
            raise AccentError(
                f"{run}: holds a run on another shard set than {shard_set.place} (content {saved[:12]} -> "
                f"{wanted[:12]}); give a new folder: run=..., or remove this one"
            )
    try:
        write_config(config, file)
        split.save(run / "split.json")
    except OSError as error:
        raise AccentError(f"{run}: cannot be written ({error}); give another folder: run=...") from error


def _newest_identity(checkpoints: list[Path]) -> Identity | None:
    """Return what run the newest checkpoint belongs to that tells it; `Checkpoints.resume` speaks of damaged ones."""
    for folder in reversed(checkpoints):
        try:
            return read_state(folder).identity
        except DamagedCheckpointError:
            continue
    return None
