"""The task of telling accents apart, for either kind of encoder.

Cost: for the branch `phones`, one forward pass over the training utterances before the first step.
"""

from collections.abc import Callable

import numpy as np
import torch

from accent.errors import AccentError
from accent.losses.objective import AccentObjective
from accent.losses.speaker_adversary import AdversaryLoss
from accent.model.build import AccentEncoder
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.measure import choose_utterances, measure_embedding
from accent.model.phonetic.start import begin_at_ridge
from accent.model.phonetic.store import StatisticsStore
from launch.extraction.phone_statistics import fill_store
from launch.extraction.speaker_statistics import voices_for
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.training.module import TrainingModule
from launch.training.prepare_batch import augmentation_note, perturb, with_progress
from launch.training.step_timer import StepTimer
from launch.training.tasks.phone_task import local_only
from launch.training.tasks.phonetic_module import PhoneticTrainingModule
from launch.training.tasks.row_keys import RowKeys
from launch.training.tasks.task import Task, unchanged
from launch.training.validation import SELECTION, Validation, validate
from shards.loading.loader import EvaluationLoader, TrainingLoader
from shards.loading.protocol import EvaluationBatches, TrainingBatches
from shards.shard_set.select import select_samples


def accent_task(
    encoder: AccentEncoder,
    train_loader: TrainingBatches,
    training: TrainingConfig,
    runtime: Runtime,
    half_S: torch.Tensor | None = None,
) -> Task:
    """Return the task.

    Args:
        encoder: its normalisation and accents are set; of the branch `phones`, its recogniser is trained.
        train_loader: the training batches.
        training: losses, chunks, compilation.
        runtime: the processes.
        half_S: for the branch `phones`: which half of the recogniser's training speakers each speaker of the shard set
            is of, see `launch.training.tasks.phone_task.deal_halves`; None if it was trained on others.

    Raises:
        AccentError: an option that does not go with the branch `phones`.
    """
    clock = StepTimer(runtime.device)
    adversary = _adversary(encoder, train_loader, training) if training.losses.adversary else None
    objective = AccentObjective(training.losses, encoder.config.accent_scale, adversary)
    voices = voices_for(encoder, train_loader.shard_set, runtime.device)
    keys = RowKeys(training.seed, runtime.rank)

    def measure(loader: EvaluationBatches, processes: Runtime, signal_number: Callable[[], int]) -> Validation:
        return validate(encoder, loader, list(encoder.config.accents), processes, signal_number)

    if not isinstance(encoder, PhoneticEncoder):
        frame_module = TrainingModule(
            encoder, objective, voices, training.chunk_rows, training.compile, runtime.precision, clock, keys
        )
        prepare = keys.follow(with_progress(perturb(training, runtime, clock), objective))
        return Task(encoder, frame_module, measure, SELECTION, encoder.config.ordered_families, clock, prepare)

    if training.chunk_rows is not None or training.compile:
        raise AccentError("model.branch=phones encodes sums, which are small: leave out chunk_rows and compile")
    train_loader = local_only(train_loader)
    encoder.to(runtime.device)
    encoder.recogniser.requires_grad_(False)
    half_S = None if half_S is None else half_S.to(runtime.device)
    store = StatisticsStore(encoder.recogniser.inventory.n_states)
    if not encoder.embedding.measured:
        _measure(encoder, train_loader, store, half_S)
    phonetic_module = PhoneticTrainingModule(
        encoder, objective, voices, store, np.array(train_loader.shard_set.index["frames"]), half_S, clock, keys
    )
    return Task(
        encoder,
        phonetic_module,
        measure,
        SELECTION,
        tuple(encoder.fusion_weights()),
        clock,
        keys.follow(with_progress(unchanged, objective)),
        augmentation_note(training.augmentation),
    )


def _adversary(encoder: AccentEncoder, train_loader: TrainingBatches, training: TrainingConfig) -> AdversaryLoss:
    """Return a fresh speaker head for the training speakers; the same on every process.

    Raises:
        AccentError: no accent has two training speakers.
    """
    shard_set = train_loader.shard_set
    accent_of_name = {entry.name: entry.accent for entry in shard_set.manifest.speakers}
    accents = {name: number for number, name in enumerate(shard_set.accents)}
    positions = shard_set.speaker_positions(train_loader.speakers)
    accent_of = {position: accents[accent_of_name[shard_set.speakers[position]]] for position in positions}
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        try:
            return AdversaryLoss(encoder.config.embedding_dim, accent_of, training.losses.adversary)
        except ValueError as error:
            raise AccentError(f"losses.adversary: {error}; give 0, or more speakers") from error


def _measure(
    encoder: PhoneticEncoder, train_loader: TrainingLoader, store: StatisticsStore, half_S: torch.Tensor | None
) -> None:
    """Measure the embedding's tables on the training utterances and set the map; the same on every process."""
    shard_set, split = train_loader.shard_set, train_loader.split
    loader = EvaluationLoader(shard_set, train_loader.speakers, train_loader.config)
    held_out = () if split is None else split.held_out_prompts
    number_N = select_samples(shard_set, train_loader.speakers, but_not_prompts=held_out)
    index_N = shard_set.index[number_N]
    chosen = choose_utterances(index_N["speaker"])
    number_N, index_N = number_N[chosen], index_N[chosen]
    fill_store(store, encoder, loader, half_S, set(number_N.tolist()), "measuring how the training speakers say phones")
    measured = measure_embedding(
        encoder.embedding.cpu(),
        lambda rows: store.sums([int(number_N[row]) for row in rows]),
        index_N["speaker"],
        index_N["accent"],
    )
    begin_at_ridge(encoder.embedding, encoder.accent_head, *measured)
    encoder.to(encoder.normalisation.mean_D.device)
