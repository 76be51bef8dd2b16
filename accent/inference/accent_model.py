"""A trained model and what its answers are worth: `accent.load` returns it.

    embed        one vector a recording
    embed_speaker    one vector of several recordings of one speaker
    identify     the accents, ranked by calibrated probability, or "unknown"
    verify       do two speakers share an accent?
    score        how well was each phone said?  how far is it from an accent's realisation?
    stream       the accent while somebody speaks, every half second

A recording is a path, or samples with their rate; a list gives a list of answers, computed in batches.  The model is
read only: several threads may use one.  `identify` and `verify` need the model's calibration
(`accent calibrate RUN SHARDS` measures it) and refuse noise and music; `embed` embeds whatever it gets.

Shapes: N recordings, E embedding, A accents, n samples, C channels.  Cost: features, some milliseconds a second of
sound; then a forward pass.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, overload

import numpy as np
import torch

from accent.audio.prepare import load_speech, prepare_speech
from accent.errors import AccentError
from accent.features.extract import extract
from accent.grid import FRAMES_PER_SECOND
from accent.inference.calibration import Calibration, Level, probabilities, unknownness
from accent.inference.embedder import AccentEmbedder, Prediction
from accent.inference.model_file import find_weights
from accent.inference.profiles import AccentProfiles
from accent.inference.pronunciation import Expected, Pronunciation, score_pronunciation, with_distances
from accent.inference.realisations import spoken_phones
from accent.inference.speech_check import kind_of_sound

if TYPE_CHECKING:
    from accent.inference.stream import AccentStream

UNKNOWN = "unknown"
"""The answer for an accent that the model does not recognise."""
Sound: TypeAlias = str | Path | np.ndarray
"""A sound file; or samples, `[n]` or `[n, C]`, full scale at -1 and 1, or int16."""


@dataclass(frozen=True)
class Identification:
    """Which accent is spoken."""

    accent: str
    """The likeliest accent, or `UNKNOWN`."""
    known: bool
    """Whether it is one that the model recognises."""
    probabilities: Mapping[str, float]
    """Calibrated, of each accent that the model knows, the likeliest first; they sum to 1."""
    unknownness: float
    """How little the model recognises; above `unknown_above` the answer is `UNKNOWN`."""
    unknown_above: float
    """The threshold for this amount of speech."""
    seconds: float
    """Speech heard."""


@dataclass(frozen=True)
class Verification:
    """Whether two speakers share an accent."""

    same_accent: bool
    """The score is above the threshold."""
    score: float
    """Cosine of the two embeddings, -1 ... 1."""
    threshold: float
    """Where the two kinds of errors are equally frequent, for this amount of speech."""
    equal_error_rate: float
    """How frequent they are, on the speakers that the model was calibrated with."""


class AccentModel:
    """A trained model at work.

    Args:
        embedder: the model.
        calibration: what its answers are worth; or what `identify` and `verify` raise without it.
        read_profiles: returns what its accents are like, or raises; called when that is first asked for.

    Example:
        >>> model = accent.load("runs/l2arctic")  # doctest: +SKIP
        >>> model.identify("speech.wav").accent  # doctest: +SKIP
        'Hindi'
    """

    def __init__(
        self,
        embedder: AccentEmbedder,
        calibration: Calibration | AccentError,
        read_profiles: Callable[[], AccentProfiles],
    ) -> None:
        self.embedder = embedder
        self._calibration, self._read_profiles = calibration, read_profiles

    @property
    def accents(self) -> tuple[str, ...]:
        """The accents the model tells apart."""
        return self.embedder.accents

    @property
    def calibration(self) -> Calibration:
        """What the model's answers are worth.

        Raises:
            AccentError: it was never measured, or on other weights.
        """
        if isinstance(self._calibration, AccentError):
            raise self._calibration
        return self._calibration

    @cached_property
    def profiles(self) -> AccentProfiles:
        """What the model's accents are like.

        Raises:
            AccentError: they were never measured, or on other weights.
        """
        return self._read_profiles()

    def embed(self, sound: Sound | Sequence[Sound], rate: int | None = None) -> np.ndarray:
        """Return the embedding of a recording, or of each of a list, each taken for a speaker of its own.

        Args:
            sound: a recording or a list of them.
            rate: samples a second; needed for arrays.

        Returns:
            float32 [E] of unit length; of a list [N, E].

        Raises:
            AccentError: a recording cannot be used; the line says which and why.
        """
        frames = self._features(_listed(sound), rate)
        embedding_NE = np.stack([one.embedding_E for one in self.embedder.predict_recordings(frames)])
        return embedding_NE if _is_list(sound) else embedding_NE[0]

    def embed_speaker(self, sounds: Sequence[Sound], rate: int | None = None) -> np.ndarray:
        """Return one embedding, float32 [E], of recordings of one speaker; arguments and errors as for `embed`."""
        return self._speaker(sounds, rate)[0].embedding_E

    @overload
    def identify(self, sound: Sound, rate: int | None = None) -> Identification: ...  # type: ignore[overload-overlap]
    @overload
    def identify(self, sound: Sequence[Sound], rate: int | None = None) -> list[Identification]: ...
    def identify(
        self, sound: Sound | Sequence[Sound], rate: int | None = None
    ) -> Identification | list[Identification]:
        """Return the accents of a recording, or of each of a list, each taken for a speaker of its own.

        Arguments as for `embed`.

        Returns:
            The answer; of a list a list.

        Raises:
            AccentError: as for `embed`; a recording is noise or music; or the model is not calibrated.
        """
        self.calibration  # noqa: B018 - refuse before the work
        frames = self._features(_listed(sound), rate, speech_only=True)
        answers = [
            self.identification(prediction, len(one) / FRAMES_PER_SECOND)
            for prediction, one in zip(self.embedder.predict_recordings(frames), frames, strict=True)
        ]
        return answers if _is_list(sound) else answers[0]

    def identify_speaker(self, sounds: Sequence[Sound], rate: int | None = None) -> Identification:
        """Return the accent of one speaker from several recordings; arguments and errors as for `identify`."""
        self.calibration  # noqa: B018 - refuse before the work
        return self.identification(*self._speaker(sounds, rate, speech_only=True))

    def verify(
        self, first: Sound | Sequence[Sound], second: Sound | Sequence[Sound], rate: int | None = None
    ) -> Verification:
        """Say whether two speakers share an accent.

        Args:
            first: a recording, or a list of recordings of one speaker.
            second: the same of the other speaker.
            rate: samples a second; needed for arrays.

        Returns:
            The answer, with its threshold.

        Raises:
            AccentError: as for `identify`.
        """
        self.calibration  # noqa: B018 - refuse before the work
        one, other = (self._speaker(_listed(sound), rate, speech_only=True) for sound in (first, second))
        return self.verification(one[0].embedding_E, other[0].embedding_E, min(one[1], other[1]))

    def score(
        self,
        sound: Sound,
        expected: Expected | Path | str | None = None,
        rate: int | None = None,
        target: str | None = None,
    ) -> Pronunciation:
        """Say how well each phone and word of a recording was pronounced; needs a model of the branch `phones`.

        Args:
            sound: a recording.
            expected: what should have been said, and when; or the TextGrid that tells it.  Without it the phones that
                the model hears are taken, and goodness says how clearly they were said, not whether they were right.
            rate: samples a second; needed for an array.
            target: an accent that the model knows: tell how far each phone lies from its realisation.

        Returns:
            Phones, words and the recording's mean.

        Raises:
            AccentError: as for `identify`, a TextGrid that cannot be read, a model without phone heads, an unknown
                target, or accents that were never measured (`accent calibrate`).
        """
        if isinstance(expected, (str, Path)):
            expected = Expected.read(Path(expected))
        accent = None if target is None else self.profiles.position(target)
        frames_TD, first_frame = self._heard(sound, rate, 1, speech_only=True)
        answer = score_pronunciation(self.embedder.predict_phones(frames_TD), first_frame, expected)
        if accent is None:
            return answer
        if self.profiles.realisations is None:
            raise AccentError("no realisation of any phone was measured: the shards that calibrated have no alignments")
        inventory = self.embedder.need_phone_heads().recogniser.inventory
        tokens = spoken_phones(answer, self.embedder.relative_columns(frames_TD), first_frame, inventory)
        return with_distances(answer, self.profiles.realisations.distances(accent, *tokens))

    def stream(self, rate: int, hop_seconds: float = 0.5, last_seconds: float | None = None) -> "AccentStream":
        """Return a stream, which is fed sound while it is spoken and answers every hop; arguments as `AccentStream`."""
        from accent.inference.stream import AccentStream

        return AccentStream(self, rate, hop_seconds, last_seconds)

    def identification(self, prediction: Prediction, seconds: float) -> Identification:
        """Turn a prediction into an answer.

        Args:
            prediction: of the model.
            seconds: speech that it is made of.

        Raises:
            AccentError: the model is not calibrated.
        """
        level = self._level(seconds)
        probability_A = probabilities(prediction.logits_A, level.temperature)
        ranked = {self.accents[at]: float(probability_A[at]) for at in np.argsort(-probability_A, kind="stable")}
        unknown = float(unknownness(prediction.logits_A))
        known = unknown <= level.unknown_above
        accent = next(iter(ranked)) if known else UNKNOWN
        return Identification(accent, known, ranked, unknown, level.unknown_above, seconds)

    def verification(self, first_E: np.ndarray, second_E: np.ndarray, seconds: float) -> Verification:
        """Compare two embeddings.

        Args:
            first_E: of unit length.
            second_E: of unit length.
            seconds: speech behind the one that has less.

        Raises:
            AccentError: the model is not calibrated.
        """
        level = self._level(seconds)
        score = float(first_E.astype(np.float64) @ second_E.astype(np.float64))
        return Verification(score > level.same_above, score, level.same_above, level.equal_error_rate)

    def _level(self, seconds: float) -> Level:
        return self.calibration.level(seconds)

    def _speaker(
        self, sounds: Sequence[Sound], rate: int | None, speech_only: bool = False
    ) -> tuple[Prediction, float]:
        frames = self._features(sounds, rate, speech_only)
        return self.embedder.predict_speaker(frames), sum(map(len, frames)) / FRAMES_PER_SECOND

    def _features(self, sounds: Sequence[Sound], rate: int | None, speech_only: bool = False) -> list[np.ndarray]:
        if not len(sounds):
            raise AccentError("no recording given; give at least one")
        return [self._heard(sound, rate, number, speech_only)[0] for number, sound in enumerate(sounds, start=1)]

    def _heard(self, sound: Sound, rate: int | None, number: int, speech_only: bool) -> tuple[np.ndarray, int]:
        """Return features, and which frame of the recording is their first."""
        config = self.embedder.feature_config
        name = str(sound) if isinstance(sound, (str, Path)) else f"recording {number}"
        if isinstance(sound, (str, Path)):
            speech = load_speech(Path(sound), config.audio)
        else:
            try:
                speech = prepare_speech(_checked(np.asarray(sound), rate), rate or 0, config.audio)
            except AccentError as error:
                raise AccentError(f"{name}: {error}") from error
        frames_TD = extract(speech, config).frames_TD
        reason = kind_of_sound(frames_TD).reason if speech_only else None
        if reason is not None:
            raise AccentError(f"{name}: {reason}")
        return frames_TD, speech.first_frame


def load(source: Path | str, device: torch.device | str = "cpu") -> AccentModel:
    """Load a trained model.

    Args:
        source: a run folder, a model folder (exported, or that of a run), or its weights file.
        device: where to compute: cpu, cuda or cuda:N.

    Returns:
        The model; safe to use from several threads.

    Raises:
        AccentError: no model there, or a damaged one.
    """
    embedder = AccentEmbedder.load(source, device)
    weights, how_to = find_weights(Path(source)), f"accent calibrate {source}"
    try:
        calibration: Calibration | AccentError = Calibration.load(weights, how_to)
    except AccentError as error:
        # `embed` needs none.
        calibration = error
    # Few uses need the profiles, and reading them hashes the weights once more.
    return AccentModel(embedder, calibration, partial(AccentProfiles.load, weights, how_to))


def _is_list(sound: Sound | Sequence[Sound]) -> bool:
    return not isinstance(sound, (str, Path, np.ndarray))


def _listed(sound: Sound | Sequence[Sound]) -> Sequence[Sound]:
    return [sound] if isinstance(sound, (str, Path, np.ndarray)) else sound


def _checked(samples: np.ndarray, rate: int | None) -> np.ndarray:
    """Return samples that are an array of sound; raise `AccentError` otherwise."""
    if rate is None or rate <= 0:
        raise AccentError("samples without their rate; give rate=, in samples a second")
    if samples.ndim not in (1, 2):
        raise AccentError(f"an array of {samples.ndim} dimensions; give samples [n], or [n, channels]")
    if samples.ndim == 2 and samples.shape[1] > samples.shape[0]:
        raise AccentError(f"samples of shape {samples.shape}: channels come first; give samples [n, channels]")
    return samples
