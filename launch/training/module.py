"""The module that is wrapped for training: encoder and objective in one, in one pass or in chunks of rows.

One wrapped forward holds every parameter, the temperature too, which is what data-parallel wrappers want.  In chunks, a
chunk's activations are dropped after its embeddings are known and made again in backward (GradCache by recomputation,
see `accent.losses.chunks`): the memory of `chunk_rows` rows and the time of a second forward pass buy a global batch
of any size, with the loss and the gradients of the whole.

Shape legend: B rows of this process, F families.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from accent.losses.chunks import RowOutputs, join_rows, row_outputs
from accent.losses.objective import AccentObjective
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.keyed_dropout import keyed_rows
from accent.model.normalisation import VoiceStatistics
from launch.runtime.precision import Precision, autocast
from launch.training.step_timer import StepTimer
from launch.training.tasks.row_keys import RowKeys
from shards.loading.batch import Batch


class TrainingOutput(NamedTuple):
    """What one forward pass gives."""

    loss: Tensor
    """Scalar to go backward from; its mean over processes is the loss of the global batch."""
    losses: dict[str, Tensor]
    """By name, detached, the same on every process."""
    fusion_weights_F: Tensor
    """Share of each family, detached."""


class TrainingModule(nn.Module):
    """Encoder and objective.

    Args:
        encoder: the encoder.
        objective: the losses.
        voices: every speaker's voice, rows as `Batch.speaker_B` counts, on the batches' device; None if the encoder
            reads none.
        chunk_rows: rows encoded at a time; None encodes all of a batch at once and recomputes nothing.
        compiled: encode through torch.compile: the first pass takes a minute, later ones launch fewer kernels.
        precision: arithmetic of the encoder; the objective computes in float32 or better.
        clock: told of the parts `forward` and `loss`.
        keys: of the rows, for dropout.
    """

    def __init__(
        self,
        encoder: EnhancedAccentEncoder,
        objective: AccentObjective,
        voices: VoiceStatistics | None = None,
        chunk_rows: int | None = None,
        compiled: bool = False,
        precision: Precision = "no",
        clock: StepTimer | None = None,
        keys: RowKeys | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.chunk_rows = chunk_rows
        self.precision = precision
        self.clock = StepTimer() if clock is None else clock
        self._keys = RowKeys() if keys is None else keys
        # No buffer: it is no part of the module's state, and DDP would broadcast it at every step.
        self._voices = voices
        # The function, not the module: that would be a second name for every weight, and validation, whose shapes
        # change, is not compiled.  Training has one shape only.
        self._compiled = torch.compile(encoder.forward, dynamic=False) if compiled else None

    def forward(self, batch: Batch) -> TrainingOutput:
        """Compute the loss of a batch; a collective, called by every process with equally many rows."""
        # In here, where no wrapper sees it: DeepSpeed would bring a loss scale of its own.
        with self.clock.part("forward"), autocast(self.precision, batch.frames_BTD.device):
            rows, fusion_weights_F = self._rows(batch)
        with self.clock.part("loss"):
            loss, losses = self.objective(rows, batch.accent_B, batch.speaker_B, batch.prompt_B, batch.row_valid_B)
        return TrainingOutput(loss, losses, fusion_weights_F)

    def _rows(self, batch: Batch) -> tuple[RowOutputs, Tensor]:
        count, keys_B = len(batch.sample_B), self._keys.of(batch)
        if self.chunk_rows is None or self.chunk_rows >= count:
            return self._chunk(keys_B, batch)
        chunks = zip(*(tensor.split(self.chunk_rows) for tensor in (keys_B, *batch)), strict=True)
        parts = [checkpoint(self._chunk, keys, Batch(*chunk), use_reentrant=False) for keys, *chunk in chunks]
        return join_rows([rows for rows, _ in parts]), parts[0][1]

    def _chunk(self, keys_B: Tensor, batch: Batch) -> tuple[RowOutputs, Tensor]:
        voices = None if self._voices is None else self._voices.rows(batch.speaker_B)
        encode = self.encoder if self._compiled is None else self._compiled
        # In here, so that the second pass over a chunk meets the masks of the first.
        with keyed_rows(self.encoder, keys_B):
            output = encode(batch.frames_BTD, batch.valid_BT, voices)
        return row_outputs(output, batch.row_valid_B), output.fusion_weights_F.detach()
