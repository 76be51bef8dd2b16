"""The task of pretraining: an encoder of the branch `frames` learns to tell hidden frames from those around them.

No label is used, so any speech will do.  Everything but pooling, embedding and accent head is trained; another run
takes it over with `init=RUN`.  The branch `phones` has nothing to gain here: it reads frames by phone heads, which
alignments teach, and what follows them is measured, but for one linear map.

Cost: a forward and a backward pass of the encoder a step.

Shapes: B rows of this process, T frames, F families.
"""

from collections.abc import Callable

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import Tensor, nn

from accent.augmentation.keyed_uniform import row_keys
from accent.errors import AccentError
from accent.losses.hidden_frames import hidden_frames
from accent.losses.masked_reconstruction import MaskedReconstruction, hidden_errors
from accent.model.build import AccentEncoder
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.keyed_dropout import keyed_rows
from accent.model.normalisation import VoiceStatistics
from launch.extraction.speaker_statistics import voices_for
from launch.run_config import PretrainingConfig, TrainingConfig
from launch.runtime.agreement import Runtime
from launch.runtime.precision import Precision, autocast
from launch.training.module import TrainingOutput
from launch.training.prepare_batch import perturb
from launch.training.step_timer import StepTimer
from launch.training.tasks.row_keys import RowKeys
from launch.training.tasks.task import Task
from launch.training.validation import Validation, agreed_batches
from shards.loading.batch import Batch
from shards.loading.protocol import EvaluationBatches, TrainingBatches

SELECTION = "explained"
"""The metric that chooses the best weights: the share of the mean's error that the model removes; higher is better."""


class ReconstructionModule(nn.Module):
    """Encoder and objective.

    Args:
        encoder: trained, but for what comes after its transformer and is no reconstruction.
        voices: every speaker's voice, on the batches' device; None if the encoder reads none.
        config: how much is hidden.
        precision: arithmetic of the encoder.
        clock: told of the parts `forward` and `loss`.
        keys: of the rows, for the frames to hide and for dropout.
    """

    def __init__(
        self,
        encoder: EnhancedAccentEncoder,
        voices: VoiceStatistics | None,
        config: PretrainingConfig,
        precision: Precision,
        clock: StepTimer,
        keys: RowKeys,
    ) -> None:
        super().__init__()
        self.encoder, self.objective = encoder, MaskedReconstruction()
        for untrained in (encoder.pooling, encoder.embedding, encoder.accent_head):
            untrained.requires_grad_(False)
        self.precision, self.clock = precision, clock
        self._voices, self._config, self._keys = voices, config, keys

    def forward(self, batch: Batch) -> TrainingOutput:
        """Compute the loss of a batch; a collective, called by every process with equally many rows."""
        config = self._config
        with self.clock.part("forward"), autocast(self.precision, batch.frames_BTD.device):
            keys_B = self._keys.of(batch)
            hidden_BT = hidden_frames(batch.valid_BT, keys_B, config.hidden_share, config.hidden_frames)
            voices = None if self._voices is None else self._voices.rows(batch.speaker_B)
            with keyed_rows(self.encoder, keys_B):
                output = self.encoder(batch.frames_BTD, batch.valid_BT, voices, hidden_BT)
        with self.clock.part("loss"):
            loss, losses = self.objective(output, hidden_BT, batch.row_valid_B)
        return TrainingOutput(loss, losses, output.fusion_weights_F.detach())


def reconstruction_task(
    encoder: AccentEncoder,
    train_loader: TrainingBatches,
    training: TrainingConfig,
    config: PretrainingConfig,
    runtime: Runtime,
) -> Task:
    """Return the task.

    Args:
        encoder: of the branch `frames`; its normalisation is set.
        train_loader: the training batches.
        training: seed and perturbations; its losses are not read.
        config: how much is hidden.
        runtime: the processes.

    Raises:
        AccentError: an option that does not go with it.
    """
    if not isinstance(encoder, EnhancedAccentEncoder):
        raise AccentError("objective: reconstruction needs model.branch=frames")
    if training.chunk_rows is not None or training.compile:
        raise AccentError("objective: reconstruction encodes a batch as it is: leave out chunk_rows and compile")
    clock = StepTimer(runtime.device)
    encoder.to(runtime.device)
    voices = voices_for(encoder, train_loader.shard_set, runtime.device)
    keys = RowKeys(training.seed, runtime.rank)
    module = ReconstructionModule(encoder, voices, config, runtime.precision, clock, keys)
    prepare = keys.follow(perturb(training, runtime, clock))

    def measure(loader: EvaluationBatches, processes: Runtime, signal_number: Callable[[], int]) -> Validation:
        return Validation(validate_reconstruction(encoder, loader, config, processes, signal_number))

    return Task(encoder, module, measure, SELECTION, encoder.config.ordered_families, clock, prepare)


@torch.no_grad()
def validate_reconstruction(
    encoder: EnhancedAccentEncoder,
    loader: EvaluationBatches,
    config: PretrainingConfig,
    runtime: Runtime,
    signal_number: Callable[[], int],
) -> dict[str, float]:
    """Return how well hidden frames of speakers who do not train are told; the same on every process.

    Args:
        encoder: its mode is as before afterwards.
        loader: whole utterances; this process's share.
        config: how much is hidden; which frames depends only on the utterance.
        runtime: the processes.
        signal_number: tells a signal that this process has received, 0 for none.

    Returns:
        `explained`, and `explained_FAMILY` for each family: 0 is what always telling the mean reaches, 1 is perfect.
    """
    names = encoder.config.ordered_families
    voices = voices_for(encoder, loader.shard_set, runtime.device)
    was_training = encoder.training
    encoder.eval()
    sums_3F = np.zeros((3, len(names)))
    for batch in agreed_batches(loader, runtime, signal_number):
        batch = batch.to(runtime.device)
        hidden_BT = hidden_frames(batch.valid_BT, _sample_keys(batch), config.hidden_share, config.hidden_frames)
        with autocast(runtime.precision, batch.frames_BTD.device):
            of_rows = None if voices is None else voices.rows(batch.speaker_B)
            output = encoder(batch.frames_BTD, batch.valid_BT, of_rows, hidden_BT)
        errors = hidden_errors(output, hidden_BT, batch.row_valid_B)
        sums_3F += torch.stack([part.double() for part in errors]).cpu().numpy()
    encoder.train(was_training)
    told_F, mean_F, counted_F = sums_3F if runtime.world_size == 1 else np.sum(gather_object([sums_3F]), axis=0)
    occurs_F = counted_F > 0
    told_F, mean_F = (part / np.maximum(counted_F, 1) for part in (told_F, mean_F))
    explained_F = 1 - told_F / np.maximum(mean_F, 1e-9)
    by_family = {f"explained_{name}": float(explained_F[at]) for at, name in enumerate(names) if occurs_F[at]}
    return {"explained": float(1 - told_F.sum() / max(mean_F.sum(), 1e-9)), **by_family}


def _sample_keys(batch: Batch) -> Tensor:
    """Return a key for each row that depends only on its utterance."""
    device = batch.sample_B.device
    return torch.cat([row_keys(0, 0, max(sample, 0), 1, device) for sample in batch.sample_B.tolist()])
