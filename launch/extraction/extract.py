"""The forward pass over whole utterances: one loop for validation, evaluation and `accent embed`.

`encode` is that loop; `extract` collects on the CPU what it yields, and `extract_embeddings` is the form of it that a
user calls.  Validation calls `encode` itself, because its processes have to agree before each batch.

Shape legend: B rows of a batch, N recordings, E embedding, A accents.  Cost: one forward pass an utterance.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from accent.errors import AccentError
from accent.model.build import AccentEncoder
from accent.model.normalisation import VoiceStatistics
from launch.extraction.speaker_statistics import voices_for
from launch.runtime.precision import Precision, autocast
from shards.loading.batch import Batch


class EncodedRows(NamedTuple):
    """What a model makes of one batch, on the model's device; rows that only fill the batch are still in it."""

    embedding_BE: Tensor
    """float32 of unit length."""
    logits_BA: Tensor
    """float32: the accent head's logits."""
    accent_B: Tensor
    speaker_B: Tensor
    sample_B: Tensor
    """Sample numbers, -1 where a row only fills the batch."""


@dataclass(frozen=True, eq=False)
class Extraction:
    """What a model makes of a loader's samples, by ascending sample number."""

    embedding_NE: np.ndarray
    logits_NA: np.ndarray
    """float32: the accent head's logits."""
    accent_N: np.ndarray
    """Positions in the loader's accents."""
    speaker_N: np.ndarray
    sample_N: np.ndarray

    @property
    def probability_NA(self) -> np.ndarray:  # noqa: N802 (the shape legend)
        """float32: the accent head's probability of each of the model's accents."""
        return torch.from_numpy(self.logits_NA).softmax(-1).numpy()

    @classmethod
    def in_sample_order(cls, columns: Sequence[np.ndarray]) -> "Extraction":
        """Sort rows by sample number and leave out those that only fill a batch.

        Args:
            columns: embeddings, logits, accents, speakers, sample numbers; in any order of rows.
        """
        sample_N = columns[-1]
        order_N = np.argsort(sample_N, kind="stable")[np.count_nonzero(sample_N < 0) :]
        return cls(*(column[order_N] for column in columns))


def extract_embeddings(
    model: AccentEncoder, dataloader: Iterable[Batch], device: torch.device | str | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Embed everything a loader yields.

    Args:
        model: the encoder; moved to the device, and left in the mode it came in.
        dataloader: yields `Batch`; its attribute `accents` names the labels, or else the model's accents do.  If the
            model normalises by speaker, its attribute `shard_set` knows the speakers.
        device: where to compute; where the model is if not given.

    Returns:
        embeddings, float32 [N, E]; labels, int64 [N]; accents, the name of each row's label.  Rows come
        by ascending sample number; rows that only fill a batch are left out.

    Raises:
        AccentError: a GPU is asked for and there is none, the loader yields nothing, or a sample cannot be read.

    Example:
        >>> embeddings, labels, accents = extract_embeddings(model, dataloader, device)  # doctest: +SKIP
    """
    shard_set = getattr(dataloader, "shard_set", None)
    extraction = extract(model, dataloader, device, None if shard_set is None else voices_for(model, shard_set))
    names = getattr(dataloader, "accents", None) or model.config.accents
    return extraction.embedding_NE, extraction.accent_N, [names[label] for label in extraction.accent_N]


def extract(
    model: AccentEncoder,
    batches: Iterable[Batch],
    device: torch.device | str | None = None,
    voices: VoiceStatistics | None = None,
) -> Extraction:
    """Embed everything a loader yields; as `extract_embeddings`, with logits, speakers and sample numbers.

    Args:
        model: the encoder; moved to the device, and left in the mode it came in.
        batches: whole utterances.
        device: where to compute; where the model is if not given.
        voices: of the shard set, from `voices_for`; needed if the model normalises by speaker.

    Raises:
        AccentError: as for `extract_embeddings`.
    """
    target = usable_device(device) if device is not None else next(model.parameters()).device
    model.to(target)
    voices = None if voices is None else voices.to(target)
    parts = [[column.cpu() for column in rows] for rows in encode(model, batches, target, voices)]
    if not parts:
        raise AccentError("the loader yields no batch; nothing to embed")
    return Extraction.in_sample_order([torch.cat(column).numpy() for column in zip(*parts, strict=True)])


def encode(
    model: AccentEncoder,
    batches: Iterable[Batch],
    device: torch.device,
    voices: VoiceStatistics | None = None,
    precision: Precision = "no",
) -> Iterator[EncodedRows]:
    """Run the model over batches, without gradients and without dropout.

    Args:
        model: the bare encoder, on the device; its mode is as before once the iterator ends.
        batches: whole utterances.
        device: where the model is.
        voices: on the device; needed if the model normalises by speaker.
        precision: arithmetic of the forward pass.
    """
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            # A copy on the device: the loader reads the next batch into the memory of this one.
            batch = batch.to(device, non_blocking=True)
            with torch.no_grad(), autocast(precision, device):
                output = model(
                    batch.frames_BTD, batch.valid_BT, None if voices is None else voices.rows(batch.speaker_B)
                )
            yield EncodedRows(
                output.embedding_BE.float(),
                output.accent_logits_BA.float(),
                batch.accent_B,
                batch.speaker_B,
                batch.sample_B,
            )
    finally:
        model.train(was_training)


def usable_device(device: torch.device | str | None) -> torch.device:
    """Return the device to compute on; a GPU if there is one and none is named.

    Raises:
        AccentError: a GPU is asked for and there is none, or the name is no device.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise AccentError(f"device {device}: not a device; give cpu, cuda or cuda:N") from error
    if wanted.type == "cuda" and not torch.cuda.is_available():
        raise AccentError(f"device {wanted}: this machine has no GPU that torch can use; give device cpu")
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        raise AccentError(f"device {wanted}: this machine has {torch.cuda.device_count()} GPUs, counted from 0")
    return wanted
