"""Train an accent encoder: from Python with `train_accent_encoder`, from a configuration with `train_run`.

Both are the same loop (`launch.training.trainer`).  A run is a folder; started again, it goes on from its newest
checkpoint. Cost: the imports take about 5 s; then steps.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from accelerate.utils import gather_object

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.losses.config import LossConfig
from accent.losses.objective import AccentObjective
from accent.model.encoder import EnhancedAccentEncoder
from launch.extraction.speaker_statistics import set_normalisation
from launch.run_config import (
    CheckpointConfig,
    MonitorConfig,
    OptimizerConfig,
    RunConfig,
    what_differs,
    write_config,
)
from launch.runtime.agreement import Runtime, raise_on_all_ranks
from launch.runtime.start import describe, start_runtime
from launch.training.checkpoint import complete_checkpoints, read_state, shard_set_fingerprint
from launch.training.trainer import LoopConfig, Trainer
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.open import open_shards
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split, make_split


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
    train_loader: TrainingBatches,
    val_loader: EvaluationBatches | None,
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
    gradient_accumulation_steps: int = 1,
    chunk_rows: int | None = None,
    compile: bool = False,
    not_finite: Literal["stop", "skip"] = "stop",
    mixed_precision: str | None = None,
    runtime: Runtime | None = None,
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
        gradient_accumulation_steps: global batches whose gradients are averaged into one step.
        chunk_rows: rows encoded at a time; None encodes all at once.
        compile: encode through torch.compile.
        not_finite: "stop" ends the run at a loss or gradient that is not finite, "skip" leaves the step out.
        mixed_precision: "no", "bf16", "fp16"; None takes the launcher's choice.
        runtime: the processes, from `launch.runtime.start_runtime`; it has its own device and precision.

    Returns:
        Steps, best validation, history, run folder.

    Raises:
        AccentError: something the caller can mend, in one line.
        Interrupted: Ctrl-C or SIGTERM; the state was saved at the end of the step.  A `KeyboardInterrupt`.

    Example:
        >>> train_accent_encoder(model, train_loader, val_loader, num_epochs=50, device="cpu")  # doctest: +SKIP
    """
    if runtime is None:
        runtime = start_runtime(device, mixed_precision)
    shard_set: ShardSet = train_loader.shard_set
    with raise_on_all_ranks(runtime):
        _check_share(train_loader, runtime)
        if compile and runtime.zero_stage == 3:
            raise AccentError("compile: true does not go with ZeRO stage 3, whose weights come and go; take stage 2")
        feature_config = load(FeatureConfig, shard_set.manifest.configuration.get("features", {}))
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model.set_accents(train_loader.accents)
    set_normalisation(model, train_loader)
    model.train()

    steps_per_epoch = max(1, round(train_loader.steps_per_epoch / gradient_accumulation_steps))
    total_steps = num_epochs * steps_per_epoch
    identity = {
        "configuration": {
            "seed": seed,
            "epochs": num_epochs,
            "gradient_accumulation_steps": gradient_accumulation_steps,
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
    parameters = sum(parameter.numel() for parameter in model.parameters())
    loop = Trainer(
        model,
        AccentObjective(losses, model.config.accent_scale),
        train_loader,
        val_loader,
        LoopConfig(
            seed=seed,
            total_steps=total_steps,
            validate_every_steps=validate_every_epochs * steps_per_epoch,
            optimizer=optimizer,
            checkpoints=checkpoints,
            monitor=monitor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            chunk_rows=chunk_rows,
            compiled=compile,
            not_finite=not_finite,
        ),
        runtime,
        None if run is None else Path(run),
        feature_config,
        identity,
    )
    if runtime.is_main:
        rows = train_loader.global_batch // runtime.world_size
        print(describe(runtime, rows, gradient_accumulation_steps, chunk_rows, parameters), flush=True)
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
    runtime = start_runtime(
        "cpu" if config.device == "cpu" else None,
        config.mixed_precision,
        config.processes,
        config.zero_stage,
        config.timeout_minutes,
    )
    run = Path(config.run)
    rank, world_size = runtime.rank, runtime.world_size
    with raise_on_all_ranks(runtime):
        shards = open_shards(config.shards)
        shard_set = shards.shard_set
        split = make_split(shard_set, config.split)
        train_loader = shards.training_loader(split, config.batch, config.seed, rank, world_size)
        val_loader = None
        if split.validation:
            val_loader = shards.evaluation_loader(split.validation, config.batch, rank, world_size)
    with raise_on_all_ranks(runtime):
        _check_same_shards(shard_set, runtime)
        if runtime.is_main:
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
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        chunk_rows=config.chunk_rows,
        compile=config.compile,
        not_finite=config.not_finite,
        runtime=runtime,
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


def _check_share(train_loader: TrainingBatches, runtime: Runtime) -> None:
    asked = (train_loader.rank, train_loader.world_size)
    if asked != (runtime.rank, runtime.world_size):
        raise AccentError(
            f"the training loader is made for process {asked[0]} of {asked[1]}, but this is process "
            f"{runtime.rank} of {runtime.world_size}; give TrainingLoader rank= and world_size="
        )


def _check_same_shards(shard_set: ShardSet, runtime: Runtime) -> None:
    if runtime.world_size > 1:
        prints = gather_object([shard_set_fingerprint(shard_set)])
        for rank, fingerprint in enumerate(prints):
            if fingerprint != prints[0]:
                raise AccentError(f"{shard_set.place}: process {rank} sees another shard set than process 0")
