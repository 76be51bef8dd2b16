"""Train an accent encoder: from Python with `train_accent_encoder`, from a configuration with `train_run`.

Both are the same loop (`launch.loop`).  A run is a folder; started again, it goes on from its newest checkpoint.
Cost: the imports take about 5 s; then steps.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.losses.config import LossConfig
from accent.losses.objective import AccentObjective
from accent.model.encoder import EnhancedAccentEncoder
from launch.checkpoint import complete_checkpoints, read_state, shard_set_fingerprint
from launch.configuration import (
    CheckpointConfig,
    MonitorConfig,
    OptimizerConfig,
    RunConfig,
    what_differs,
    write_config,
)
from launch.loop import Loop, LoopConfig
from launch.normalisation import set_normalisation
from launch.runtime import describe, start_accelerator, together
from shards.loader import EvaluationLoader, TrainingLoader
from shards.manifest import ShardSet
from shards.splits import Split, make_split
from shards.streaming import open_shards


@dataclass(frozen=True)
class TrainingResult:
    """What a training run came to."""

    step: int
    """Optimizer steps done."""
    best: float | None
    """The best validation: balanced accuracy of the accent head on unseen speakers; None without a validation."""
    best_step: int
    """The step it was measured at."""
    history: tuple[Mapping[str, float], ...]
    """Every validation: its step and its metrics."""
    run: Path | None
    """The run folder: `model` in it holds the weights of the best validation; None where nothing was written."""


def train_accent_encoder(
    model: EnhancedAccentEncoder,
    train_loader: TrainingLoader,
    val_loader: EvaluationLoader | None,
    num_epochs: int = 50,
    device: str | torch.device | None = None,
    *,
    losses: LossConfig = LossConfig(),  # noqa: B008 (frozen)
    optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008 (frozen)
    seed: int = 0,
    validate_every_epochs: int = 1,
    run: Path | str | None = None,
    resume: bool = True,
    checkpoints: CheckpointConfig = CheckpointConfig(),  # noqa: B008 (frozen)
    monitor: MonitorConfig = MonitorConfig(),  # noqa: B008 (frozen)
    mixed_precision: str | None = None,
    accelerator: Accelerator | None = None,
) -> TrainingResult:
    """Train an encoder in place.

    The model takes its normalisation from the training speakers (`train_loader.statistics`) and its labels from
    `train_loader.accents`.  Afterwards it holds the weights of the last step, on the device, in evaluation mode.

    Args:
        model: the encoder.
        train_loader: training batches of raw features; with several processes, made with the rank of this one.
        val_loader: whole utterances of speakers that do not train; None validates nothing.
        num_epochs: passes over the training utterances, by count.
        device: "cpu" never uses a GPU, "cuda" needs one; None takes what there is.
        losses: weights and settings of the objective.
        optimizer: AdamW and its learning rate.
        seed: of dropout, and of a new accent head.
        validate_every_epochs: epochs between validations; the last step is always validated.
        run: a folder for checkpoints, the best model and TensorBoard's curves; None writes nothing to disk.
        resume: go on from the newest checkpoint of `run`, if it has one.
        checkpoints: when the state is saved.
        monitor: what is shown.
        mixed_precision: "no", "bf16", "fp16"; None takes the launcher's choice.
        accelerator: a ready one, from `launch.runtime.start_accelerator`; it has its own device and precision.

    Returns:
        Steps, best validation, history, run folder.

    Raises:
        AccentError: something the caller can mend, in one line.
        Interrupted: Ctrl-C or SIGTERM; the state was saved at the end of the step.  A `KeyboardInterrupt`.

    Example:
        >>> train_accent_encoder(model, train_loader, val_loader, num_epochs=50, device="cpu")  # doctest: +SKIP
    """
    if accelerator is None:
        accelerator = start_accelerator(device, mixed_precision)
    shard_set: ShardSet = train_loader.shard_set
    with together(accelerator):
        _check_share(train_loader, accelerator)
        feature_config = load(FeatureConfig, shard_set.manifest.configuration.get("features", {}))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.set_accents(train_loader.accents)
    set_normalisation(model, train_loader)
    model.train()

    total_steps = num_epochs * train_loader.steps_per_epoch
    identity = {
        "configuration": {
            "seed": seed,
            "epochs": num_epochs,
            "model": to_mapping(model.config),
            "losses": to_mapping(losses),
            "optimizer": to_mapping(optimizer),
            "batch": to_mapping(train_loader.config),
            "loader_seed": train_loader.seed,
            "training_speakers": train_loader.speakers,
            "training_samples": train_loader.n_samples,
            "validation_speakers": None if val_loader is None else val_loader.speakers,
        },
        "shards": shard_set_fingerprint(shard_set),
        "global_batch": train_loader.global_batch,
    }
    loop = Loop(
        model,
        AccentObjective(losses),
        train_loader,
        val_loader,
        LoopConfig(
            seed=seed,
            total_steps=total_steps,
            validate_every_steps=validate_every_epochs * train_loader.steps_per_epoch,
            optimizer=optimizer,
            checkpoints=checkpoints,
            monitor=monitor,
        ),
        accelerator,
        None if run is None else Path(run),
        feature_config,
        identity,
    )
    if accelerator.is_main_process:
        parameters = sum(parameter.numel() for parameter in loop.module.parameters())
        print(describe(accelerator, train_loader.global_batch, parameters), flush=True)
    progress = loop.run(resume)
    model.eval()
    return TrainingResult(
        progress.step, progress.best, progress.best_step, tuple(progress.history), None if run is None else Path(run)
    )


def train_run(config: RunConfig) -> TrainingResult:
    """Do one training run as its configuration says; every process calls this.

    Args:
        config: the run.

    Returns:
        What it came to.

    Raises:
        AccentError: something the user can mend, in one line.
    """
    accelerator = start_accelerator(
        "cpu" if config.device == "cpu" else None, config.mixed_precision, config.processes, config.timeout_minutes
    )
    run = Path(config.run)
    rank, world_size = accelerator.process_index, accelerator.num_processes
    with together(accelerator):
        shard_set, training, evaluation = open_shards(config.shards)
        split = make_split(shard_set, config.split)
        train_loader = training(shard_set, split, config.batch, seed=config.seed, rank=rank, world_size=world_size)
        val_loader = None
        if split.validation:
            val_loader = evaluation(shard_set, split.validation, config.batch, rank=rank, world_size=world_size)
    with together(accelerator):
        _check_same_shards(shard_set, accelerator)
        if accelerator.is_main_process:
            open_run_folder(run, config, split, shard_set)
    torch.manual_seed(config.seed)
    model = EnhancedAccentEncoder(dataclasses.replace(config.model, accents=tuple(train_loader.accents)))
    return train_accent_encoder(
        model,
        train_loader,
        val_loader,
        config.epochs,
        losses=config.losses,
        optimizer=config.optimizer,
        seed=config.seed,
        validate_every_epochs=config.validate_every_epochs,
        run=run,
        resume=config.resume,
        checkpoints=config.checkpoints,
        monitor=config.monitor,
        accelerator=accelerator,
    )


def open_run_folder(run: Path, config: RunConfig, split: Split, shard_set: ShardSet) -> None:
    """Make the run's folder, or check that the one there belongs to the same run.

    Args:
        run: the folder.
        config: the run; written to `config.yaml`.
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
            f"{run}: holds checkpoints up to {found[-1].name}; leave resume on to go on from there, give a new folder: "
            "run=..., or remove this one"
        )
    if found:
        saved, wanted = read_state(found[-1])["identity"]["shards"], shard_set_fingerprint(shard_set)
        if saved != wanted:
            raise AccentError(
                f"{run}: holds a run on another shard set than {shard_set.place} (content {saved[:12]} -> "
                f"{wanted[:12]}); give a new folder: run=..., or remove this one"
            )
    try:
        run.mkdir(parents=True, exist_ok=True)
        write_config(config, file)
        split.save(run / "split.json")
    except OSError as error:
        raise AccentError(f"{run}: cannot be written ({error}); give another folder: run=...") from error


def _check_share(train_loader: TrainingLoader, accelerator: Accelerator) -> None:
    asked = (train_loader.rank, train_loader.world_size)
    if asked != (accelerator.process_index, accelerator.num_processes):
        raise AccentError(
            f"the training loader is made for process {asked[0]} of {asked[1]}, but this is process "
            f"{accelerator.process_index} of {accelerator.num_processes}; give TrainingLoader rank= and world_size="
        )


def _check_same_shards(shard_set: ShardSet, accelerator: Accelerator) -> None:
    if accelerator.num_processes > 1:
        prints = gather_object([shard_set_fingerprint(shard_set)])
        for rank, fingerprint in enumerate(prints):
            if fingerprint != prints[0]:
                raise AccentError(f"{shard_set.place}: process {rank} sees another shard set than process 0")
