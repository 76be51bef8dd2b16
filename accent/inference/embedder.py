"""A trained model, asked about sound.

A recording's features are rounded to float16 before the model sees them, as they are in shards: the model meets what
it was trained on, and a recording has the same embedding from its file and from a shard.  Only a model that normalises
by speaker wants to hear more than one recording of the voice: `embed_each` takes them all.  `embed_files` makes one
vector of them.

Shapes: B batch rows, T frames, D columns, E embedding, A accents.  Cost: an embedding costs its features (some
milliseconds a second of sound) and one forward pass.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from accent.audio.prepare import Speech, load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.phones import PHONES
from accent.inference.model_file import load_model
from accent.inference.pronunciation import PhonePrediction
from accent.inference.realisations import COLUMNS
from accent.model.build import AccentEncoder
from accent.model.normalisation import VoiceStatistics, measure_voices
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.frozen import FrozenPhoneticEncoder
from accent.model.phonetic.statistics import join

FRAMES_PER_BATCH = 6_000
"""Frames, with padding, that go through a model at a time: a minute of sound."""


class Prediction(NamedTuple):
    """What a model makes of one recording."""

    embedding_E: np.ndarray
    """float32 of unit length."""
    logits_A: np.ndarray
    """float32: the accent head's logits, in the order of the model's accents."""

    @property
    def probability_A(self) -> np.ndarray:  # noqa: N802 (the shape legend)
        """float32: the accent head's probability of each accent, not calibrated."""
        return torch.from_numpy(self.logits_A).softmax(-1).numpy()


class AccentEmbedder:
    """A trained model that takes recordings.

    Example:
        >>> embedder = AccentEmbedder.load("runs/accent")  # doctest: +SKIP
        >>> embedder.embed_file("speech.wav").shape  # doctest: +SKIP
        (192,)
    """

    def __init__(self, model: AccentEncoder, feature_config: FeatureConfig, device: torch.device | str = "cpu") -> None:
        self.model = model.to(device).eval()
        self.phonetic = FrozenPhoneticEncoder(self.model) if isinstance(self.model, PhoneticEncoder) else None
        """How a model of the branch `phones` is asked; None for any other."""
        self.feature_config = feature_config
        self.device = torch.device(device)

    @classmethod
    def load(cls, source: Path | str, device: torch.device | str = "cpu") -> "AccentEmbedder":
        """Load a model from a run folder, a model folder or a `model.safetensors` file; see `load_model`."""
        return cls(*load_model(source, device), device)

    @property
    def accents(self) -> tuple[str, ...]:
        """The accents the model tells apart, in the order of its probabilities."""
        return self.model.config.accents

    def embed_file(self, path: Path | str, sex: str | None = None) -> np.ndarray:
        """Return the embedding of a sound file.

        Args:
            path: WAV, FLAC, OGG or MP3.
            sex: "female" or "male" where it is known; used if the features were made with a formant ceiling for each.

        Returns:
            float32 [E] of unit length.

        Raises:
            AccentError: the file cannot be used; the line says why.
        """
        return self.predict_file(path, sex).embedding_E

    def embed_files(self, paths: Sequence[Path | str], sex: str | None = None) -> np.ndarray:
        """Return one embedding of all sound files of one speaker; the more there are, the surer it is.

        A phonetic model adds up what it has heard in all of them; of another model it is the mean of the files'
        embeddings, brought to unit length.

        Args:
            paths: WAV, FLAC, OGG or MP3 files; at least one.
            sex: as for `embed_file`.

        Returns:
            float32 [E] of unit length.

        Raises:
            AccentError: a file cannot be used; the line says why.
        """
        return self.predict_speaker(self._features(paths, sex)).embedding_E

    def embed_each(self, paths: Sequence[Path | str], sex: str | None = None) -> np.ndarray:
        """Return an embedding of each sound file of one speaker.

        A model that normalises by speaker measures each of them against the voice in all of them, where `embed_file`
        knows the one file only; for any other model it makes no difference.

        Args:
            paths: WAV, FLAC, OGG or MP3 files; at least one.
            sex: as for `embed_file`.

        Returns:
            float32 [N, E], rows of unit length in the order of the paths.

        Raises:
            AccentError: a file cannot be used; the line says why.
        """
        return np.stack([heard.embedding_E for heard in self.predict_voice(self._features(paths, sex))])

    def _features(self, paths: Sequence[Path | str], sex: str | None) -> list[np.ndarray]:
        speeches = [load_speech(Path(path), self.feature_config.audio) for path in paths]
        return [extract(speech, self.feature_config, sex=sex).frames_TD for speech in speeches]

    def embed_speech(self, speech: Speech, sex: str | None = None) -> np.ndarray:
        """Return the embedding, float32 [E] of unit length, of sound prepared with `accent.audio.prepare`."""
        return self.predict_speech(speech, sex).embedding_E

    def predict_file(self, path: Path | str, sex: str | None = None) -> Prediction:
        """Return embedding and accent probabilities of a sound file; arguments and errors as for `embed_file`."""
        return self.predict_speech(load_speech(Path(path), self.feature_config.audio), sex)

    def predict_speech(self, speech: Speech, sex: str | None = None) -> Prediction:
        """Return embedding and accent probabilities of prepared sound."""
        return self.predict_frames(extract(speech, self.feature_config, sex=sex).frames_TD)

    def predict_frames(self, frames_TD: np.ndarray) -> Prediction:
        """Return embedding and accent probabilities of one recording's features.

        Args:
            frames_TD: schema columns in raw units, NaN where undefined.
        """
        return self.predict_voice([frames_TD])[0]

    @torch.inference_mode()
    def predict_voice(self, recordings: Sequence[np.ndarray]) -> list[Prediction]:
        """Return embedding and accent probabilities of each of one speaker's recordings.

        Args:
            recordings: features, schema columns in raw units, NaN where undefined; for a model that normalises by
                speaker, together they say what the voice is.
        """
        return [_predictions(*self._forward(*given))[0] for given in self._inputs(recordings)]

    @torch.inference_mode()
    def predict_speaker(self, recordings: Sequence[np.ndarray], half: int | None = None) -> Prediction:
        """Return one embedding and the accent probabilities of all of one speaker's recordings together.

        Args:
            recordings: as for `predict_voice`.
            half: for a speaker who trained a phonetic model's heads: which, see `PhoneRecogniser.posteriors`.
        """
        if self.phonetic is not None:
            half_B = None if half is None else torch.tensor([half], device=self.device)
            sums = join([self.phonetic.statistics(*given, half_B) for given in self._inputs(recordings)])
            together = sums.grouped(torch.ones(1, len(recordings), device=self.device))
            return _predictions(*self.phonetic.embed(together))[0]
        embeddings, logits = zip(*(self._forward(*given) for given in self._inputs(recordings)), strict=True)
        mean_1E, mean_1A = (torch.stack([part.float() for part in parts]).mean(0) for parts in (embeddings, logits))
        return _predictions(torch.nn.functional.normalize(mean_1E, dim=-1), mean_1A)[0]

    @torch.inference_mode()
    def predict_recordings(self, recordings: Sequence[np.ndarray]) -> list[Prediction]:
        """Return embedding and logits of recordings, each of a speaker of its own; in batches of similar length.

        Args:
            recordings: features, schema columns in raw units, NaN where undefined.

        Returns:
            One prediction each, in the order of the recordings; the same as each alone, to rounding.
        """
        predictions: dict[int, Prediction] = {}
        for rows in batches_by_length([len(frames_TD) for frames_TD in recordings], FRAMES_PER_BATCH):
            frames_BTD, valid_BT = _padded([recordings[row] for row in rows])
            voices = None
            if self.model.config.normalisation == "speaker":
                voices = measure_voices(frames_BTD, valid_BT).to(self.device)
            found = _predictions(*self._forward(frames_BTD.to(self.device), valid_BT.to(self.device), voices))
            predictions.update(zip(rows, found, strict=True))
        return [predictions[row] for row in range(len(recordings))]

    def need_phone_heads(self) -> PhoneticEncoder:
        """Return the model if it is of the branch `phones`; raise `AccentError` if not."""
        if not isinstance(self.model, PhoneticEncoder):
            raise AccentError("this model has no phone heads; train one with model.preset=phonetic")
        return self.model

    @torch.inference_mode()
    def predict_phones(self, frames_TD: np.ndarray) -> PhonePrediction:
        """Return the phones of one recording.

        Args:
            frames_TD: schema columns in raw units, NaN where undefined.

        Raises:
            AccentError: the model is not of the branch `phones`.
        """
        model = self.need_phone_heads()
        [given] = self._inputs([frames_TD])
        alone_TP, decoded_TP = (part[0].float().cpu().numpy() for part in model.phones(*given))
        known_P = np.isin(np.arange(len(PHONES)), model.recogniser.inventory.phone_U)
        return PhonePrediction(alone_TP, decoded_TP, known_P)

    @torch.inference_mode()
    def relative_columns(self, frames_TD: np.ndarray) -> np.ndarray:
        """Return what phones are compared by, relative to the voice in one recording.

        Args:
            frames_TD: schema columns in raw units, NaN where undefined.

        Returns:
            float32 [T, C]: `accent.inference.realisations.COLUMNS`, 0 where undefined.
        """
        [given] = self._inputs([frames_TD])
        values_BTD, _ = self.need_phone_heads().normalisation(*given)
        columns_TC: np.ndarray = values_BTD[0][:, list(COLUMNS)].float().cpu().numpy()
        return columns_TC

    def _forward(self, frames_BTD: Tensor, valid_BT: Tensor, voices: VoiceStatistics | None) -> tuple[Tensor, Tensor]:
        """Return embeddings and logits of a batch."""
        if self.phonetic is not None:
            return self.phonetic.embed(self.phonetic.statistics(frames_BTD, valid_BT, voices))
        output = self.model(frames_BTD, valid_BT, voices)
        return output.embedding_BE, output.accent_logits_BA

    def _inputs(self, recordings: Sequence[np.ndarray]) -> Iterator[tuple[Tensor, Tensor, VoiceStatistics | None]]:
        """Yield frames, mask and voice of each recording, as the model takes them."""
        stored = [np.asarray(frames_TD).astype(np.float16).astype(np.float32) for frames_TD in recordings]
        voice = None
        if self.model.config.normalisation == "speaker":
            all_BTD = torch.from_numpy(np.concatenate(stored))[None]
            voice = measure_voices(all_BTD, torch.ones(all_BTD.shape[:2], dtype=torch.bool)).to(self.device)
        for frames_TD in stored:
            frames_BTD = torch.from_numpy(frames_TD)[None].to(self.device)
            yield frames_BTD, torch.ones(frames_BTD.shape[:2], dtype=torch.bool, device=self.device), voice


def _predictions(embedding_BE: Tensor, logits_BA: Tensor) -> list[Prediction]:
    rows = (part.float().cpu().numpy() for part in (embedding_BE, logits_BA))
    return [Prediction(*row) for row in zip(*rows, strict=True)]


def batches_by_length(lengths: Sequence[int], most_frames: int) -> list[list[int]]:
    """Group rows of similar length, so that little of a batch is padding.

    >>> batches_by_length([5, 1, 4], most_frames=7)
    [[1], [2], [0]]
    >>> batches_by_length([5, 1, 4], most_frames=8)
    [[1, 2], [0]]
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if not batches or (len(batches[-1]) + 1) * lengths[row] > most_frames:
            batches.append([])
        batches[-1].append(row)
    return batches


def _padded(recordings: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Return frames [B, T, D] rounded as in shards, and which of them are real [B, T]."""
    length_B = [len(frames_TD) for frames_TD in recordings]
    frames_BTD = np.zeros((len(recordings), max(length_B), recordings[0].shape[1]), np.float32)
    for row, frames_TD in enumerate(recordings):
        frames_BTD[row, : len(frames_TD)] = frames_TD.astype(np.float16)
    valid_BT = np.arange(max(length_B)) < np.array(length_B)[:, None]
    return torch.from_numpy(frames_BTD), torch.from_numpy(valid_BT)
