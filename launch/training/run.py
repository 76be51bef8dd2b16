"""Train an accent encoder: from Python with `train_accent_encoder`, from a configuration with `train_run`.

Both are the same loop (`launch.training.trainer`).  A run is a folder; started again, it continues from its newest
checkpoint.  Cost: the imports take about 5 s; then steps.
"""

import dataclasses
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.model.build import AccentEncoder, build_encoder
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.extraction.speaker_statistics import set_normalisation
from launch.run_config import PHONES_FOLDER, RunConfig, TrainingConfig
from launch.runtime.agreement import AllRanksError, Runtime, raise_on_all_ranks
from launch.runtime.arithmetic import arithmetic
from launch.runtime.environment import record_start
from launch.runtime.signals import Interrupted, mark_preempted
from launch.runtime.start import describe, start_runtime
from launch.training.batch_checks import check_batches
from launch.training.health.disk_space import check_space
from launch.training.identity import shard_set_fingerprint
from launch.training.initial import begin_with, keep_heads_split
from launch.training.run_folder import one_training, prepare_run_folder, resolve
from launch.training.tasks.accent_task import accent_task
from launch.training.tasks.phone_task import find_units, local_only, phone_task, read_alignments
from launch.training.tasks.reconstruction_task import reconstruction_task
from launch.training.tasks.task import Task
from launch.training.trainer import Trainer
from shards.loading.loader import TrainingLoader
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.open import open_shards
from shards.shard_set.manifest import ShardSet
from shards.splits.split import make_split


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
    model: AccentEncoder,
    train_loader: TrainingBatches,
    val_loader: EvaluationBatches | None,
    num_epochs: int | None = None,
    device: str | torch.device | None = None,
    *,
    training: TrainingConfig = TrainingConfig(),  # noqa: B008 (frozen)
    run: Path | str | None = None,
    resume: bool = True,
    mixed_precision: str | None = None,
    runtime: Runtime | None = None,
    half_S: torch.Tensor | None = None,
) -> TrainingResult:
    """Train an encoder in place.

    The model takes its normalisation from the training speakers (`train_loader.statistics`) and its labels from
    `train_loader.accents`.  Afterwards it holds the weights of the last step, on the device, in evaluation mode.

    Args:
        model: the encoder.
        train_loader: training batches of raw features; with several processes, made with the rank of this one.
        val_loader: whole utterances of speakers that do not train; None validates nothing.
        num_epochs: passes over the training utterances, by count; `training.epochs` if not given.
        device: "cpu" never uses a GPU, "cuda" needs one; None takes what there is.
        training: losses, optimizer, and every other choice of how to train.
        run: a folder for checkpoints, the best model and TensorBoard's curves; None writes nothing to disk.
        resume: continue from the newest checkpoint of `run`, if it has one.
        mixed_precision: "no", "bf16", "fp16"; None takes the launcher's choice.
        runtime: the processes, from `launch.runtime.start.start_runtime`; it has its own device and precision.
        half_S: for a `PhoneticEncoder`: which of its phone heads each speaker of the shard set has trained, from
            `launch.training.tasks.phone_task.deal_halves`; None if they were trained on other speakers.

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
    if num_epochs is not None:
        training = dataclasses.replace(training, epochs=num_epochs)
    folder = None if run is None else Path(run)
    with ExitStack() as held:
        with raise_on_all_ranks(runtime):
            held.enter_context(arithmetic(training, runtime.device))
            _check_share(train_loader, runtime)
            if training.compile and runtime.zero_stage == 3:
                raise AccentError(
                    "compile: true does not go with ZeRO stage 3, whose weights come and go; take stage 2"
                )
            warnings = check_batches(train_loader, training.losses)
            if folder is not None and runtime.is_main:
                held.enter_context(one_training(folder))
        with torch.random.fork_rng():
            torch.manual_seed(training.seed)
            model.set_accents(train_loader.accents)
        if not isinstance(model, PhoneticEncoder):
            # Phone heads keep the statistics they were trained with.
            set_normalisation(model, train_loader)
        with raise_on_all_ranks(runtime):
            task = accent_task(model, train_loader, training, runtime, half_S)
        return _fit(task, train_loader, val_loader, training, folder, resume, runtime, warnings)


def train_phone_heads(
    encoder: PhoneticEncoder,
    train_loader: TrainingLoader,
    val_loader: EvaluationBatches | None,
    alignments: Sequence[tuple[int, np.ndarray]],
    training: TrainingConfig,
    run: Path,
    resume: bool,
    runtime: Runtime,
) -> TrainingResult:
    """Train the phone heads of a phonetic encoder in place; every process calls this.

    Args:
        encoder: its units are those of the alignments.
        train_loader: training batches, with alignments.
        val_loader: whole utterances of speakers that do not train; None validates nothing.
        alignments: speaker and phones of the training utterances.
        training: optimizer, epochs and the rest; its losses are not read.
        run: the run's folder; its lock is held.
        resume: continue from the newest checkpoint.
        runtime: the processes.

    Returns:
        Steps, best validation (frame accuracy), history, run folder.

    Raises:
        AccentError: something the user can mend, in one line.
        Interrupted: Ctrl-C or SIGTERM; the state was saved.
    """
    set_normalisation(encoder, train_loader)
    with raise_on_all_ranks(runtime):
        task = phone_task(encoder, train_loader, alignments, training, runtime)
    return _fit(task, train_loader, val_loader, training, run, resume, runtime, [])


def _fit(
    task: Task,
    train_loader: TrainingBatches,
    val_loader: EvaluationBatches | None,
    training: TrainingConfig,
    folder: Path | None,
    resume: bool,
    runtime: Runtime,
    warnings: Sequence[str],
) -> TrainingResult:
    task.encoder.train()
    task.module.train()
    identity = _identity(task.encoder, train_loader, val_loader, training)
    parameters = sum(parameter.numel() for parameter in task.module.parameters() if parameter.requires_grad)
    start = [describe(runtime, training, train_loader.global_batch // runtime.world_size, parameters)]
    start += [*warnings, *task.notes]
    with raise_on_all_ranks(runtime):
        if folder is not None and runtime.is_main:
            start += check_space(folder, task.module, training.checkpoints)
            record_start(folder, runtime)
    features = train_loader.shard_set.manifest.configuration.get("features", {})
    trainer = Trainer(
        task,
        train_loader,
        val_loader,
        training,
        runtime,
        folder,
        load(FeatureConfig, features),
        identity,
        {**to_mapping(training), **identity["configuration"]},
        start,
    )
    if runtime.is_main:
        print(*start, sep="\n", flush=True)
    progress = trainer.run(resume)
    task.encoder.eval()
    return TrainingResult(progress.step, progress.best, progress.best_step, tuple(progress.history), folder)


def train_run(config: RunConfig, runtime: Runtime | None = None) -> TrainingResult:
    """Do one training run as its configuration says; every process calls this.

    Args:
        config: the run.
        runtime: the processes, if they have met already.

    Returns:
        What it came to.

    Raises:
        AccentError: something the user can mend, in one line.
    """
    runtime = runtime or start_runtime(
        None if config.device == "auto" else config.device,
        config.mixed_precision,
        config.processes,
        config.zero_stage,
        config.timeout_minutes,
    )
    run = Path(config.run)
    rank, world_size = runtime.rank, runtime.world_size
    with ExitStack() as held:
        with raise_on_all_ranks(runtime):
            held.enter_context(arithmetic(config, runtime.device))
            shards = open_shards(config.shards)
            split = make_split(shards.shard_set, config.split)
            train_loader = shards.training_loader(split, config.batch, config.seed, rank, world_size)
            val_loader = None
            if split.validation:
                val_loader = shards.evaluation_loader(split.validation, config.batch, rank, world_size)
        with raise_on_all_ranks(runtime):
            _check_same_shards(shards.shard_set, runtime)
            if runtime.is_main:
                held.enter_context(one_training(run))
                resolved = resolve(config, train_loader, runtime)
                prepare_run_folder(run, resolved, split, shards.shard_set)
        if config.model.branch == "phones" and runtime.zero_stage:
            raise AllRanksError(
                "model.branch=phones has never been trained with ZeRO, and its model is small: use "
                "configs/accelerate/node.yaml or cpu.yaml"
            )
        model_config = dataclasses.replace(config.model, accents=tuple(train_loader.accents))
        if config.objective == "phones":
            with raise_on_all_ranks(runtime):
                train_loader = local_only(train_loader)
                alignments = read_alignments(train_loader)
            torch.manual_seed(config.seed)
            heads = PhoneticEncoder(dataclasses.replace(model_config, units=find_units(alignments)))
            return train_phone_heads(heads, train_loader, val_loader, alignments, config, run, config.resume, runtime)
        if config.objective == "reconstruction":
            torch.manual_seed(config.seed)
            with raise_on_all_ranks(runtime):
                if config.init is None:
                    model = build_encoder(model_config)
                else:
                    model, _ = begin_with(Path(config.init), model_config, shards.shard_set)
                set_normalisation(model, train_loader)
                task = reconstruction_task(model, train_loader, config, config.pretraining, runtime)
            return _fit(task, train_loader, val_loader, config, run, config.resume, runtime, [])
        half_S = None
        if config.init is not None or config.model.branch == "phones":
            init = Path(config.init) if config.init is not None else _phones_first(config, runtime)
            torch.manual_seed(config.seed)
            with raise_on_all_ranks(runtime):
                model, half_S = begin_with(init, model_config, shards.shard_set)
                if runtime.is_main and half_S is not None and config.init is not None:
                    keep_heads_split(init, run)
        else:
            torch.manual_seed(config.seed)
            model = build_encoder(model_config)
        return train_accent_encoder(
            model,
            train_loader,
            val_loader,
            training=config,
            run=run,
            resume=config.resume,
            runtime=runtime,
            half_S=half_S,
        )


def _phones_first(config: RunConfig, runtime: Runtime) -> Path:
    """Train the phone heads of a run in its folder `phones`, or find them trained; return that folder."""
    phones = dataclasses.replace(
        config,
        objective="phones",
        run=str(Path(config.run) / PHONES_FOLDER),
        epochs=config.phones.epochs,
        validate_every_epochs=config.phones.epochs,
        batch=config.phones.batch,
        optimizer=config.phones.optimizer,
        gradient_accumulation_steps=1,
    )
    try:
        train_run(phones, runtime)
    except Interrupted as stop:
        # A job script looks for the mark in the folder of the run that it started.
        if stop.number == signal.SIGTERM and runtime.is_main:
            mark_preempted(Path(config.run), 0)
        raise
    return Path(phones.run)


def _identity(
    model: AccentEncoder,
    train_loader: TrainingBatches,
    val_loader: EvaluationBatches | None,
    training: TrainingConfig,
) -> dict[str, Any]:
    """Return what a checkpoint is compared by; see `launch.training.identity`."""
    own = {field.name for field in dataclasses.fields(TrainingConfig)}
    return {
        "configuration": {
            **{key: value for key, value in to_mapping(training).items() if key in own},
            "model": to_mapping(model.config),
            "batch": to_mapping(train_loader.config),
            "loader_seed": train_loader.seed,
            "training_speakers": train_loader.speakers,
            "training_samples": train_loader.n_samples,
            "validation_speakers": None if val_loader is None else val_loader.speakers,
        },
        "shards": shard_set_fingerprint(train_loader.shard_set),
        "global_batch": train_loader.global_batch,
    }


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
