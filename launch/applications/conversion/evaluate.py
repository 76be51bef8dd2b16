"""`accent convert-eval`: how far converted speech moved towards an accent, and whether speaker and words stayed.

Source and converted recordings are matched by name.  Of each pair:

    progress              share of the way between the two accents' vectors that the embedding has gone: 0 ... 1
    toward_target         how much the cosine to the target accent's vector has grown
    away_from_own         how much the cosine to the source's own accent's vector has shrunk
    log_odds              calibrated, of the target accent against the own one, before and after
    speaker_similarity    cosine of simple speaker embeddings of source and converted, and whether that is one speaker
    phone_error_rate      phones that the phone heads hear in the converted recording, beside those heard in the source

Each recording is taken for a speaker of its own.  What the phone error rate is of two recordings that say different
things is told beside it, from pairs of a converted recording and the next source.

Shapes: E embedding, V voice.  Cost: features, some milliseconds a second of sound; then the model.

Source: the three questions are those of foreign accent conversion, as in Zhao et al. 2021, "Converting Foreign Accent
Speech Without a Reference": less accented, the same voice, the same words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from torchaudio.functional import edit_distance

from accent.audio.prepare import load_speech
from accent.errors import AccentError
from accent.features.extract import extract
from accent.features.phones import SILENCE
from accent.grid import FRAMES_PER_SECOND
from accent.inference.accent_model import AccentModel, load
from accent.inference.conditioning import share_of_the_way
from accent.inference.embedder import Prediction
from accent.inference.pronunciation import decoded_phones
from accent.inference.speech_check import kind_of_sound
from accent.inference.voice import voice_vector
from launch.extraction.sound_files import list_sound_files
from launch.extraction.terminal import track_on_terminal


@dataclass(frozen=True)
class Conversion:
    """What became of one recording."""

    name: str
    progress: float
    toward_target: float
    away_from_own: float
    log_odds_before: float | None
    """None where the target is given as recordings."""
    log_odds_after: float | None
    speaker_similarity: float
    same_speaker: bool
    phone_error_rate: float | None
    """None for a model of the branch `frames`."""


@dataclass(frozen=True)
class ConversionReport:
    """What became of all of them."""

    own: str
    """The accent that was left."""
    target: str
    """The accent, or the folder of recordings, that was gone to."""
    conversions: tuple[Conversion, ...]
    refused: tuple[tuple[str, str], ...]
    """What could not be matched or used, and why."""
    same_speaker_above: float
    same_speaker_equal_error_rate: float
    """Of one recording each, on training speakers."""
    phone_error_rate_of_other_words: float | None
    """None for the branch `frames`, or a single pair."""

    def summary(self) -> dict[str, float | int | None]:
        """Return the means over the recordings, and the share that moved towards the target."""
        rows = [asdict(one) for one in self.conversions]
        means = {name: _mean([row[name] for row in rows]) for name in rows[0] if name not in ("name", "same_speaker")}
        return {
            "recordings": len(rows),
            **means,
            "moved_toward_target": float(np.mean([row["toward_target"] > 0 for row in rows])),
            "same_speaker": float(np.mean([row["same_speaker"] for row in rows])),
            "phone_error_rate_of_other_words": self.phone_error_rate_of_other_words,
        }


class _Heard(NamedTuple):
    prediction: Prediction
    voice_V: np.ndarray
    phones: list[str] | None
    seconds: float


def evaluate_conversion(
    run: Path, source: Path, converted: Path, target: str, own: str | None = None, device: str = "cpu"
) -> ConversionReport:
    """Judge converted speech.

    Args:
        run: a calibrated run folder or exported model.
        source: the recordings that were converted: a folder, or one file.
        converted: what came out, under the same names below the folder; endings may differ.
        target: an accent that the model knows, or a folder of recordings of it.
        own: the accent of the source; the likeliest of all source recordings if not given.
        device: where to compute.

    Returns:
        The figures.

    Raises:
        AccentError: no calibrated model, nothing that can be matched, or a target that is the source's own accent.
    """
    model = load(run, device)
    # Asked first: without them there is no answer, however long one listens.
    profiles, _ = model.profiles, model.calibration
    pairs, refused = _pairs(source, converted)
    target_E = _target(model, target)
    heard: dict[str, tuple[_Heard, _Heard]] = {}
    for name, files in track_on_terminal(list(pairs.items()), "listening"):
        try:
            heard[name] = (_listen(model, files[0]), _listen(model, files[1]))
        except AccentError as error:
            refused.append((name, str(error)))
    if not heard:
        raise AccentError(f"none of {len(pairs)} pairs can be used; the first, {refused[-1][0]}: {refused[-1][1]}")
    own = own if own is not None else _likeliest(model, [before.prediction for before, _ in heard.values()])
    at = profiles.position(own)
    if own == target:
        raise AccentError(f"the source already speaks {target} as the model hears it; name its accent with --own")
    return ConversionReport(
        own,
        target,
        tuple(_judge(model, name, *pair, at, target, target_E) for name, pair in heard.items()),
        tuple(refused),
        profiles.voices.same_above,
        profiles.voices.equal_error_rate,
        _other_words(list(heard.values())),
    )


def _pairs(source: Path, converted: Path) -> tuple[dict[str, tuple[Path, Path]], list[tuple[str, str]]]:
    """Match recordings by their paths below the two folders, without endings."""
    listed = []
    refused: list[tuple[str, str]] = []
    for place in (source, converted):
        files, faults = list_sound_files(place)
        refused += faults
        alone = place.is_file()
        named: dict[str, Path] = {}
        for path in files:
            name = path.stem if alone else path.relative_to(place).with_suffix("").as_posix()
            if name in named:
                raise AccentError(f"{place}: {named[name].name} and {path.name} have one name; keep one of them")
            named[name] = path
        listed.append(named)
    if source.is_file() and converted.is_file():
        [before], [after] = (list(named.values()) for named in listed)
        return {before.stem: (before, after)}, refused
    refused += [(name, f"not in {converted}") for name in listed[0] if name not in listed[1]]
    refused += [(name, f"not in {source}") for name in listed[1] if name not in listed[0]]
    both = [name for name in listed[0] if name in listed[1]]
    if not both:
        raise AccentError(f"no recording of {source} has one of its name in {converted}")
    return {name: (listed[0][name], listed[1][name]) for name in both}, refused


def _target(model: AccentModel, target: str) -> np.ndarray:
    """Return the vector of the target accent."""
    profiles = model.profiles
    if target in profiles.accents or not Path(target).exists():
        vector_E: np.ndarray = profiles.embedding_AE[profiles.position(target)]
        return vector_E
    files, _ = list_sound_files(Path(target))
    mean_E = model.embed([str(path) for path in files]).astype(np.float64).mean(0)
    return np.asarray(mean_E / np.linalg.norm(mean_E), np.float32)


def _listen(model: AccentModel, path: Path) -> _Heard:
    embedder = model.embedder
    speech = load_speech(path, embedder.feature_config.audio)
    frames_TD = extract(speech, embedder.feature_config).frames_TD
    reason = kind_of_sound(frames_TD).reason
    if reason is not None:
        raise AccentError(f"{path}: {reason}")
    phones = None
    if embedder.model.config.branch == "phones":
        heard = decoded_phones(embedder.predict_phones(frames_TD).decoded_TP, speech.first_frame)
        phones = [phone for _, _, phone in heard if phone != SILENCE]
    seconds = len(frames_TD) / FRAMES_PER_SECOND
    return _Heard(embedder.predict_frames(frames_TD), voice_vector(frames_TD), phones, seconds)


def _likeliest(model: AccentModel, predictions: Sequence[Prediction]) -> str:
    mean_A = np.mean([one.probability_A for one in predictions], axis=0)
    return model.accents[int(mean_A.argmax())]


def _judge(
    model: AccentModel, name: str, before: _Heard, after: _Heard, own: int, target: str, target_E: np.ndarray
) -> Conversion:
    profiles = model.profiles
    own_E = profiles.embedding_AE[own]
    one_E, other_E = before.prediction.embedding_E, after.prediction.embedding_E
    to = profiles.position(target) if target in profiles.accents else None
    similarity = profiles.voices.similarity(before.voice_V, after.voice_V)
    return Conversion(
        name,
        share_of_the_way(one_E, other_E, own_E, target_E),
        float((other_E - one_E) @ target_E),
        float((one_E - other_E) @ own_E),
        None if to is None else _log_odds(model, before, to, own),
        None if to is None else _log_odds(model, after, to, own),
        similarity,
        similarity > profiles.voices.same_above,
        _error_rate(before.phones, after.phones),
    )


def _log_odds(model: AccentModel, heard: _Heard, accent: int, other: int) -> float:
    difference = float(heard.prediction.logits_A[accent] - heard.prediction.logits_A[other])
    return difference / model.calibration.level(heard.seconds).temperature


def _error_rate(said: Sequence[str] | None, heard: Sequence[str] | None) -> float | None:
    if not said or heard is None:
        return None
    return float(edit_distance(said, heard)) / len(said)


def _other_words(pairs: Sequence[tuple[_Heard, _Heard]]) -> float | None:
    """Return the mean error rate of each converted recording beside the next source."""
    if len(pairs) < 2:
        return None
    following = [*pairs[1:], pairs[0]]
    return _mean([_error_rate(other[0].phones, pair[1].phones) for pair, other in zip(pairs, following, strict=True)])


def _mean(values: Sequence[float | None]) -> float | None:
    told = [value for value in values if value is not None]
    return float(np.mean(told)) if told else None


def figures_of(report: ConversionReport) -> Mapping[str, float | int | None]:
    """Return the summary and the threshold of voices, for the terminal."""
    return {
        **report.summary(),
        "same_speaker_above": report.same_speaker_above,
        "same_speaker_equal_error_rate": report.same_speaker_equal_error_rate,
    }
