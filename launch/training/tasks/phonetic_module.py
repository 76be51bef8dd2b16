"""The module that is wrapped for training a phonetic embedding: sums, embedding and objective in one.

The recogniser is frozen, so the sums of a whole utterance are computed once and then come from a store; an utterance
that a crop has cut short is computed each time.  Row k of a speaker in a batch holds the sum of the first k + 1 of that
speaker's utterances: the embedding learns from one utterance and from several, and, since no random number decides it,
the same on any number of ranks.

Cost: about 0.1 s a step of 48 rows on one core, once the store is filled.

Shapes: B rows of this process, S speakers of the shard set.
"""

import numpy as np
import torch
from torch import Tensor, nn

from accent.losses.chunks import row_outputs
from accent.losses.objective import AccentObjective
from accent.model.keyed_dropout import keyed_rows
from accent.model.normalisation import VoiceStatistics
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.statistics import PhoneStatistics, join
from accent.model.phonetic.store import StatisticsStore
from launch.training.module import TrainingOutput
from launch.training.step_timer import StepTimer
from launch.training.tasks.row_keys import RowKeys
from shards.loading.batch import Batch


class PhoneticTrainingModule(nn.Module):
    """Phonetic encoder and objective.

    Args:
        encoder: its recogniser frozen, its embedding measured.
        objective: the losses.
        voices: every speaker's voice, rows as `Batch.speaker_B` counts, on the batches' device.
        store: sums known already.
        frames_N: length of each utterance of the shard set, by sample number.
        half_S: half of each speaker of the shard set; None: both heads read everybody.
        clock: told of the parts `forward` and `loss`.
        keys: of the rows, for dropout.
    """

    def __init__(
        self,
        encoder: PhoneticEncoder,
        objective: AccentObjective,
        voices: VoiceStatistics | None,
        store: StatisticsStore,
        frames_N: np.ndarray,
        half_S: Tensor | None,
        clock: StepTimer,
        keys: RowKeys,
    ) -> None:
        super().__init__()
        self.encoder, self.objective, self.clock = encoder, objective, clock
        self._voices, self._half_S, self._keys = voices, half_S, keys
        self._store, self._frames_N = store, frames_N

    def train(self, mode: bool = True) -> "PhoneticTrainingModule":
        """Set the mode of all parts but the recogniser, which is frozen and without dropout."""
        super().train(mode)
        self.encoder.recogniser.eval()
        return self

    def forward(self, batch: Batch) -> TrainingOutput:
        """Compute the loss of a batch; a collective, called by every process with equally many rows."""
        with self.clock.part("forward"):
            sums = self._sums(batch).grouped(_cumulative(batch.speaker_B, batch.row_valid_B))
            with keyed_rows(self.encoder, self._keys.of(batch)):
                output = self.encoder.embed(sums)
            rows = row_outputs(output, batch.row_valid_B)
        with self.clock.part("loss"):
            loss, losses = self.objective(rows, batch.accent_B, batch.speaker_B, batch.prompt_B, batch.row_valid_B)
        return TrainingOutput(loss, losses, output.fusion_weights_F.detach())

    def _sums(self, batch: Batch) -> PhoneStatistics:
        """Return the sums of each row, from the store or computed now."""
        samples, frames = batch.sample_B.tolist(), batch.valid_BT.sum(1).tolist()
        missing = [row for row, sample in enumerate(samples) if sample not in self._store]
        if not missing:
            return self._store.sums(samples).to(batch.frames_BTD.device)
        speaker_B = batch.speaker_B[missing]
        computed = self.encoder.statistics(
            batch.frames_BTD[missing],
            batch.valid_BT[missing],
            None if self._voices is None else self._voices.rows(speaker_B),
            None if self._half_S is None else self._half_S[speaker_B],
        )
        for place, row in enumerate(missing):
            if samples[row] >= 0 and frames[row] == self._frames_N[samples[row]]:
                self._store.keep([samples[row]], PhoneStatistics(*(part[place : place + 1] for part in computed)))
        # Read back even at once: the store leaves out what is hardly there, and a resumed run must meet the same.
        rows = [
            self._store.sums([sample]).to(batch.frames_BTD.device)
            if sample in self._store
            else PhoneStatistics(*(part[missing.index(row)].unsqueeze(0) for part in computed))
            for row, sample in enumerate(samples)
        ]
        return join(rows)


def _cumulative(speaker_B: Tensor, valid_B: Tensor) -> Tensor:
    """Return the weights by which row k of a speaker sums that speaker's rows up to itself, `[B, B]`.

    >>> _cumulative(torch.tensor([7, 7, 8]), torch.tensor([True, True, True])).int().tolist()
    [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    """
    same_BB = speaker_B.unsqueeze(1) == speaker_B.unsqueeze(0)
    return torch.tril(same_BB & valid_B.unsqueeze(0)).float()
