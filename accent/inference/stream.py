"""Accent of speech that is still being spoken: an answer every half second, at a cost that does not grow.

    sound in pieces of any length -> 16 kHz -> features of each hop, once -> blocks of 4, 2, 2 ... s
      a finished block     its sums are added to those of the blocks before it, and its sound is forgotten
      the unfinished one   is read again at every hop, up to the last sample
      answer               of all sums together, as for several recordings of one speaker

A block is heard with the speech around it and against the voice that has been heard so far.  Silence at its edges is
left out, and noise and music do not count.  A model that normalises by speaker hears all blocks at the gain of the
first one; for any other, each block is brought to one loudness like a recording.

What equals the answer for the same sound as one recording (`AccentModel.identify`): until the first block is finished,
all but what `accent.features.stream` says of the features; later, the phones of a finished block are those heard when
it was finished, against the voice as it was known then.  `tests/accent/inference/test_stream.py` has the bounds.

Shapes: n samples, C channels, T frames, E embedding.  Cost: features of a hop and its context; a forward pass over the
unfinished block, which is 1.5 to 4 s long with what surrounds it, at first up to 5.5 s.  Memory: that sound, and one
set of sums; with `last_seconds` a set for each block within them.
"""

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soxr

from accent.audio.decode import FULL_SCALE_16_BITS
from accent.audio.prepare import LARGEST_PEAK
from accent.errors import AccentError
from accent.features.stream import ADDED_BY_ONE_DECIBEL, FeatureStream, Unfinished
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE
from accent.inference.blocks import Sums, added, blocks_of
from accent.inference.speech_check import kind_of_sound
from accent.model.normalisation import VoiceStatistics
from accent.model.voice_sums import VoiceSums

if TYPE_CHECKING:
    from accent.inference.accent_model import AccentModel, Identification

FIRST_BLOCK_FRAMES = 400
"""Frames of the first block: 4 s, so that something is known of the voice before phones are settled."""
BLOCK_FRAMES = 200
"""Frames of all later blocks: 2 s."""
SHORTEST_HOP, LONGEST_HOP = 0.1, BLOCK_FRAMES / FRAMES_PER_SECOND
LONGEST_MEMORY = 120.0
"""Seconds that `last_seconds` may be."""
_LEAST_SAMPLES = SAMPLE_RATE // 10


@dataclass(frozen=True)
class StreamAnswer:
    """What is known at one moment of a stream."""

    at_seconds: float
    """The moment: seconds of sound so far."""
    identification: "Identification | None"
    """The accent; None while nothing was heard that may be speech."""
    embedding_E: np.ndarray | None
    """float32 of unit length."""
    reason: str | None
    """Why there is no accent."""


class _Heard(NamedTuple):
    """Speech that counts."""

    sums: Sums
    voice: VoiceSums
    frames: int
    until: int
    """The frame of the stream after its last."""

    def joined(self, other: "_Heard") -> "_Heard":
        return _Heard(
            added(self.sums, other.sums),
            self.voice.joined(other.voice),
            self.frames + other.frames,
            max(self.until, other.until),
        )


class AccentStream:
    """The accent of one speaker, as far as it is known at each moment; `AccentModel.stream` makes one.

    Args:
        model: calibrated.
        rate: of the samples that will come.
        hop_seconds: from one answer to the next.
        last_seconds: answer for the speech of these last seconds only, to the length of a block; None: for all of it.

    Raises:
        AccentError: the model is not calibrated, or a number cannot be used.

    Example:
        >>> stream = accent.load("runs/l2arctic").stream(rate=16_000)  # doctest: +SKIP
        >>> for answer in stream.feed(samples):  # doctest: +SKIP
        ...     print(answer.at_seconds, answer.identification)
    """

    def __init__(
        self, model: "AccentModel", rate: int, hop_seconds: float = 0.5, last_seconds: float | None = None
    ) -> None:
        model.calibration  # noqa: B018 - refuse before the work
        if not 1_000 <= rate <= 768_000:
            raise AccentError(f"a rate of {rate} samples a second; give 1000 to 768000")
        if not SHORTEST_HOP <= hop_seconds <= LONGEST_HOP:
            raise AccentError(f"a hop of {hop_seconds} s; give {SHORTEST_HOP} to {LONGEST_HOP:g}")
        if last_seconds is not None and not LONGEST_HOP <= last_seconds <= LONGEST_MEMORY:
            raise AccentError(f"the last {last_seconds} s; give {LONGEST_HOP:g} to {LONGEST_MEMORY:g}, or none for all")
        self._model = model
        self._blocks = blocks_of(model.embedder)
        self._resampler = None if rate == SAMPLE_RATE else soxr.ResampleStream(rate, SAMPLE_RATE, 1, "float64", "HQ")
        self._hop = round(hop_seconds * SAMPLE_RATE)
        self._memory = None if last_seconds is None else round(last_seconds * FRAMES_PER_SECOND)
        self._waiting_N = np.empty(0)
        self._samples = 0
        self._features = FeatureStream(model.embedder.feature_config)
        self._block_start, self._block_end = 0, FIRST_BLOCK_FRAMES
        self._gain_db: float | None = None
        self._finished: deque[_Heard] = deque()
        self._answer = StreamAnswer(0.0, None, None, "no sound yet")

    def feed(self, samples: np.ndarray) -> list[StreamAnswer]:
        """Hear the next samples, and return the answers at the hops that end in them.

        Args:
            samples: `[n]` or `[n, C]`, full scale at -1 and 1, or int16; any number of them.

        Raises:
            AccentError: they are no sound.
        """
        mono_N = _mono(samples)
        if self._resampler is not None:
            mono_N = self._resampler.resample_chunk(mono_N)
        self._waiting_N = np.concatenate([self._waiting_N, mono_N])
        answers = []
        while len(self._waiting_N) >= self._hop:
            answers.append(self._hear(self._waiting_N[: self._hop]))
            self._waiting_N = self._waiting_N[self._hop :]
        return answers

    def finish(self) -> StreamAnswer:
        """Return the answer at the end of the stream, after which nothing more is fed."""
        if self._resampler is not None:
            last_N = self._resampler.resample_chunk(np.empty(0), last=True)
            self._waiting_N = np.concatenate([self._waiting_N, last_N])
        if len(self._waiting_N):
            rest_N, self._waiting_N = self._waiting_N, np.empty(0)
            return self._hear(rest_N)
        return self._answer

    def _hear(self, samples_N: np.ndarray) -> StreamAnswer:
        """Hear one hop of sound at 16 kHz."""
        self._features.feed(samples_N)
        self._samples += len(samples_N)
        now = self._features.total_frames
        if self._samples < _LEAST_SAMPLES:
            return self._told(None, "too short")
        unfinished = self._features.unfinished(max(self._block_start - self._blocks.context, 0))
        frames_TD = self._at_one_gain(unfinished).astype(np.float16).astype(np.float32)
        # Within these frames: where the block begins, and where its successor does.
        start = max(self._block_start - unfinished.first_frame, 0)
        due = self._features.final >= self._block_end + self._blocks.context
        stop = max(self._block_end - unfinished.first_frame, 0) if due else start
        first, *rest = self._heard_in(frames_TD, unfinished.first_frame, [slice(start, stop), slice(stop, None)])
        if due:
            if first is not None:
                self._remember(first)
                self._gain_db = unfinished.gain_db if self._gain_db is None else self._gain_db
            self._block_start, self._block_end = self._block_end, self._block_end + BLOCK_FRAMES
            self._features.forget(self._block_start - self._blocks.context)
        while self._memory is not None and self._finished and self._finished[0].until < now - self._memory:
            self._finished.popleft()
        heard = _joined([*self._finished, *rest])
        if heard is None:
            return self._told(None, unfinished.reason or kind_of_sound(frames_TD).reason or "too little speech")
        return self._told(heard)

    def _heard_in(self, frames_TD: np.ndarray, first_frame: int, pieces: list[slice]) -> list[_Heard | None]:
        """Return what is heard in each piece of some consecutive frames; None where it is no speech."""
        spoken = {}
        for number, piece in enumerate(pieces):
            piece_TD = frames_TD[piece]
            if len(piece_TD) and kind_of_sound(piece_TD).reason is None:
                spoken[number] = VoiceSums.of(piece_TD)
        if not spoken:
            return [None for _ in pieces]
        voice = VoiceSums.nothing()
        for one in (*(block.voice for block in self._finished), *spoken.values()):
            voice = voice.joined(one)
        found = self._blocks.sums(frames_TD, [pieces[at] for at in spoken], self._normalising(voice))
        sums = dict(zip(spoken, found, strict=True))
        return [
            _Heard(sums[at], spoken[at], len(frames_TD[piece]), first_frame + len(frames_TD[: piece.stop]))
            if at in spoken
            else None
            for at, piece in enumerate(pieces)
        ]

    def _at_one_gain(self, unfinished: Unfinished) -> np.ndarray:
        """Return frames at the gain of the first block: a voice has no level, but one part of it beside another has."""
        if self._gain_db is None or self._model.embedder.model.config.normalisation != "speaker":
            return unfinished.frames_TD
        return unfinished.frames_TD + np.float32(self._gain_db - unfinished.gain_db) * ADDED_BY_ONE_DECIBEL

    def _normalising(self, voice: VoiceSums) -> VoiceStatistics | None:
        """Return what a model that normalises by speaker needs of a voice; None for any other model."""
        return voice.statistics() if self._model.embedder.model.config.normalisation == "speaker" else None

    def _remember(self, block: _Heard) -> None:
        if self._memory is None and self._finished:
            self._finished[-1] = self._finished[-1].joined(block)
        else:
            self._finished.append(block)

    def _told(self, heard: _Heard | None, reason: str | None = None) -> StreamAnswer:
        seconds = self._samples / SAMPLE_RATE
        if heard is None:
            self._answer = StreamAnswer(seconds, None, None, reason)
        else:
            prediction = self._blocks.prediction(heard.sums, self._normalising(heard.voice))
            answer = self._model.identification(prediction, heard.frames / FRAMES_PER_SECOND)
            self._answer = StreamAnswer(seconds, answer, prediction.embedding_E, None)
        return self._answer


def _joined(parts: list[_Heard | None]) -> _Heard | None:
    total = None
    for part in parts:
        if part is not None:
            total = part if total is None else total.joined(part)
    return total


def _mono(samples: np.ndarray) -> np.ndarray:
    """Return samples as one channel, float64."""
    samples = np.asarray(samples)
    if samples.ndim not in (1, 2):
        raise AccentError(f"an array of {samples.ndim} dimensions; give samples [n], or [n, channels]")
    mono_N = (samples.mean(axis=1) if samples.ndim == 2 else samples).astype(np.float64)
    if samples.dtype == np.int16:
        mono_N = mono_N / FULL_SCALE_16_BITS
    if not np.isfinite(mono_N).all():
        raise AccentError("samples that are no finite numbers")
    if len(mono_N) and np.abs(mono_N).max() > LARGEST_PEAK:
        raise AccentError(f"samples of up to {np.abs(mono_N).max():.6g} times full scale, which is 1; or give int16")
    return mono_N
