"""What happens to a batch on the device before the wrapped module sees it.

Perturbations are keyed by seed, number of the global batch and row of it, so that any number of processes, and a
resumed run, make the same of a batch.  Cost: that of `accent.augmentation`; nothing where all is off.
"""

from accent.augmentation import AugmentationConfig, augment
from accent.losses.objective import AccentObjective
from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.training.step_timer import StepTimer
from launch.training.tasks.task import Position, Prepare, unchanged
from shards.loading.batch import Batch


def perturb(training: TrainingConfig, runtime: Runtime, clock: StepTimer) -> Prepare:
    """Return what perturbs the crops of a batch as the configuration says.

    Args:
        training: seed and perturbations.
        runtime: the processes; each perturbs its own rows of the global batch.
        clock: told of the part `augmentation`.
    """
    config = training.augmentation
    if not config.is_on:
        return unchanged

    def prepare(batch: Batch, position: Position) -> Batch:
        with clock.part("augmentation"):
            made = augment(
                config,
                batch.frames_BTD,
                batch.valid_BT,
                batch.phones_BT,
                step=position.batch,
                first_row=runtime.rank * len(batch.sample_B),
                seed=training.seed,
            )
        return batch._replace(**made._asdict())

    return prepare


def with_progress(prepare: Prepare, objective: AccentObjective) -> Prepare:
    """Return the same, and tell an objective's speaker head how far the run is.

    Args:
        prepare: what else is done.
        objective: told before each batch, if it has a speaker head.
    """
    adversary = objective.adversary
    if adversary is None:
        return prepare

    def told(batch: Batch, position: Position) -> Batch:
        adversary.progress = position.progress
        return prepare(batch, position)

    return told


def augmentation_note(config: AugmentationConfig) -> list[str]:
    """Return what the start of a phonetic run says of perturbations that are asked for."""
    if not config.is_on:
        return []
    return [
        "augmentation: perturbs the training of the phone heads only; the embedding of model.branch=phones is trained "
        "on sums that are computed once"
    ]
