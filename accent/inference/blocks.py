"""How a model hears a stream: block by block, in sums that add up; of either branch.

    phones    sums by phone of the frames of a block, which is read with the frames around it: the heads see 0.6 s on
              either side, and forward-backward forgets where it began within `PhoneBlocks.context`
    frames    the embedding of a block by itself, and its logits; their means over the blocks, weighed by length, are
              the answer, as for several recordings of a speaker

Cost: a forward pass over what is given.

Shapes: T frames, D columns of the schema, E embedding, A accents.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor

from accent.inference.embedder import AccentEmbedder, Prediction
from accent.model.build import AccentEncoder
from accent.model.normalisation import VoiceStatistics
from accent.model.phonetic.frozen import FrozenPhoneticEncoder
from accent.model.phonetic.statistics import PhoneStatistics, sum_frames


class PhoneSums(NamedTuple):
    """Sums by phone, of values measured against the training speakers: they hold for whatever the voice turns out."""

    statistics: PhoneStatistics
    defined_RSM: Tensor
    """Frames in each state that have a value, column by column."""


class EmbeddingSums(NamedTuple):
    """Embeddings and logits, times the frames that they are of."""

    embedding_E: Tensor
    logits_A: Tensor
    frames: Tensor


Sums: TypeAlias = PhoneSums | EmbeddingSums


class Blocks(Protocol):
    """How one branch hears."""

    context: int
    """Frames on either side that a block must be given with."""

    def sums(self, frames_TD: np.ndarray, pieces: Sequence[slice], voice: VoiceStatistics | None) -> list[Sums]:
        """Return the sums of pieces of some consecutive frames.

        Args:
            frames_TD: schema columns, rounded as in shards; NaN where undefined.
            pieces: which frames, one after the other; none of them empty.
            voice: what is known of the speaker; None for a model that does not normalise by speaker.
        """
        ...

    def prediction(self, total: Sums, voice: VoiceStatistics | None) -> Prediction:
        """Return embedding and logits of summed sums, given what is known of the speaker by now."""
        ...


def blocks_of(embedder: AccentEmbedder) -> Blocks:
    """Return how a model hears."""
    if embedder.phonetic is not None:
        return PhoneBlocks(embedder.phonetic, embedder.device)
    return FrameBlocks(embedder.model, embedder.device)


def added(first: Sums, second: Sums) -> Sums:
    """Return the sums of both together."""
    if isinstance(first, PhoneSums) and isinstance(second, PhoneSums):
        pairs = zip(first.statistics, second.statistics, strict=True)
        return PhoneSums(
            PhoneStatistics(*(one + other for one, other in pairs)), first.defined_RSM + second.defined_RSM
        )
    assert isinstance(first, EmbeddingSums) and isinstance(second, EmbeddingSums)
    return EmbeddingSums(*(one + other for one, other in zip(first, second, strict=True)))


class PhoneBlocks:
    """The branch `phones`."""

    context = 64

    def __init__(self, frozen: FrozenPhoneticEncoder, device: torch.device) -> None:
        self._frozen, self._model, self._device = frozen, frozen.encoder, device
        columns = len(self._model.normalisation.mean_D)
        self._anyone = VoiceStatistics(*torch.zeros(3, 1, columns, device=device))
        """Nothing is known of the voice: the training speakers stand for it."""

    @torch.inference_mode()
    def sums(self, frames_TD: np.ndarray, pieces: Sequence[slice], voice: VoiceStatistics | None) -> list[Sums]:
        """Read all frames at once, against the voice, and sum each piece."""
        model = self._model
        frames_BTD, valid_BT, voice = _inputs(frames_TD, voice, self._device)
        if voice is None:
            values_BTD, defined_BTD = model.normalisation(frames_BTD, valid_BT)
            summed_BTD = values_BTD
        else:
            measured_BTD, defined_BTD = model.normalisation.measurable(frames_BTD, valid_BT)
            values_BTD = model.normalisation.against(measured_BTD, defined_BTD, voice)
            summed_BTD = model.normalisation.against(measured_BTD, defined_BTD, self._anyone)
        recogniser = self._frozen.recogniser
        posterior_BTS = recogniser.posteriors(values_BTD, valid_BT)
        occupancy_BTS, entered_BTU = recogniser.smooth(posterior_BTS, valid_BT)
        columns_BTC = model.columns(summed_BTD, defined_BTD, recogniser.by_phone(posterior_BTS))
        defined_BTM = model.columns.defined(defined_BTD)
        sums: list[Sums] = []
        for piece in pieces:
            occupancy_TS = occupancy_BTS[0, piece]
            statistics = sum_frames(occupancy_TS, columns_BTC[0, piece], entered_BTU[0, piece])
            sums.append(PhoneSums(statistics, (occupancy_TS.T @ defined_BTM[0, piece])[None]))
        return sums

    @torch.inference_mode()
    def prediction(self, total: Sums, voice: VoiceStatistics | None) -> Prediction:
        """Measure the sums against the voice, and embed them."""
        assert isinstance(total, PhoneSums)
        statistics = total.statistics
        if voice is not None:
            centre_1D, spread_1D = self._model.normalisation.trusted(voice.to(self._device))
            corpus = self._model.normalisation
            factor_D, offset_D = corpus.std_D / spread_1D[0], (corpus.mean_D - centre_1D[0]) / spread_1D[0]
            sums_RSC = self._model.columns.rescaled(statistics.sum_RSD, total.defined_RSM, factor_D, offset_D)
            statistics = statistics._replace(sum_RSD=sums_RSC)
        embedding_1E, logits_1A = self._frozen.embed(statistics)
        return Prediction(embedding_1E[0].cpu().numpy(), logits_1A[0].cpu().numpy())


class FrameBlocks:
    """The branch `frames`."""

    context = 0

    def __init__(self, model: AccentEncoder, device: torch.device) -> None:
        self._model, self._device = model, device

    @torch.inference_mode()
    def sums(self, frames_TD: np.ndarray, pieces: Sequence[slice], voice: VoiceStatistics | None) -> list[Sums]:
        """Embed each piece as if it were a recording."""
        sums: list[Sums] = []
        for piece in pieces:
            output = self._model(*_inputs(frames_TD[piece], voice, self._device))
            frames = torch.tensor(float(len(frames_TD[piece])), device=self._device)
            embedding_E, logits_A = output.embedding_BE[0].float(), output.accent_logits_BA[0].float()
            sums.append(EmbeddingSums(embedding_E * frames, logits_A * frames, frames))
        return sums

    @torch.inference_mode()
    def prediction(self, total: Sums, voice: VoiceStatistics | None) -> Prediction:
        """Return the means, the embedding's of unit length; the voice has been accounted for."""
        assert isinstance(total, EmbeddingSums)
        embedding_E = torch.nn.functional.normalize(total.embedding_E, dim=-1)
        return Prediction(embedding_E.cpu().numpy(), (total.logits_A / total.frames).cpu().numpy())


def _inputs(
    frames_TD: np.ndarray, voice: VoiceStatistics | None, device: torch.device
) -> tuple[Tensor, Tensor, VoiceStatistics | None]:
    frames_BTD = torch.from_numpy(frames_TD.astype(np.float32))[None].to(device)
    valid_BT = torch.ones(frames_BTD.shape[:2], dtype=torch.bool, device=device)
    return frames_BTD, valid_BT, None if voice is None else voice.to(device)
