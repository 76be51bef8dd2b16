"""Speech from the espeak-ng library, driven through ctypes: sound, and when each word and phone begins.

The wheel `espeakng_loader` brings library and data; no system package is needed.  The library keeps its state (phase,
noise) from one utterance to the next and cannot be set back: the same calls give the same samples only in a fresh
process and in the same order.  Some voice variants (f2, f3, f5, whisper) differ even then; f1, f4, m3 and m7 do not.
Cost: about 0.001 s per second of speech.

Source: the library's interface as its header speak_lib.h (version 1.52) documents it.
Shapes: N samples.
"""

import ctypes
from dataclasses import dataclass

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_PHONEME_EVENTS = 0x0001
_INITIALIZE_PHONEME_IPA = 0x0002
_INITIALIZE_DONT_EXIT = 0x8000
_CHARACTERS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7


class _Identity(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """How one synthetic speaker talks, in espeak-ng's own units."""

    variant: str
    """Voice variant: f1, f4, m3 or m7."""
    pitch: int
    """0 to 99; 50 is the variant's own."""
    pitch_range: int
    """0 (monotone) to 99."""
    words_per_minute: int
    """Rate of speech."""


@dataclass(frozen=True)
class Spoken:
    """One synthesised utterance."""

    samples_N: NDArray[np.int16]
    """The sound at `rate`."""
    rate: int
    """Samples a second."""
    words: tuple[tuple[int, int, int], ...]
    """(first sample, position in the text, number of characters) of each word."""
    phones: tuple[tuple[int, str], ...]
    """(first sample, IPA with stress and length marks) of each phone; an empty string is a pause."""


class Synthesiser:
    """The library, loaded once a process.

    Example:
        >>> spoken = Synthesiser().say("Good morning.", "en-us", Voice("m3", 50, 50, 170))
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        options = _INITIALIZE_PHONEME_EVENTS | _INITIALIZE_PHONEME_IPA | _INITIALIZE_DONT_EXIT
        self.rate: int = self._library.espeak_Initialize(_AUDIO_OUTPUT_SYNCHRONOUS, 0, data, options)
        if self.rate <= 0:
            raise AccentError(f"espeak-ng does not start with the data at {data.decode()}; reinstall espeakng-loader")
        self._chunks: list[NDArray[np.int16]] = []
        self._words: list[tuple[int, int, int]] = []
        self._phones: list[tuple[int, str]] = []
        # The library keeps only the address: the object must live as long as the library may call it.
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, language: str, voice: Voice) -> Spoken:
        """Synthesise one utterance.

        Args:
            text: what is said.
            language: espeak-ng's voice, such as en-us; its spelling rules read the text.
            voice: the speaker.

        Returns:
            Sound and times.

        Raises:
            AccentError: the language or variant does not exist, or the library fails.
        """
        for collected in (self._chunks, self._words, self._phones):
            collected.clear()
        name = f"{language}+{voice.variant}"
        self._check(self._library.espeak_SetVoiceByName(name.encode()), f"no voice {name}")
        # Below the default of 100, where some voices are clipped.
        parameters = {
            _RATE: voice.words_per_minute,
            _VOLUME: 70,
            _PITCH: voice.pitch,
            _RANGE: voice.pitch_range,
        }
        for parameter, value in parameters.items():
            self._check(self._library.espeak_SetParameter(parameter, value, 0), f"parameter {parameter}={value}")
        content = text.encode()
        status = self._library.espeak_Synth(
            content, len(content) + 1, 0, _POSITION_CHARACTER, 0, _CHARACTERS_UTF8, None, None
        )
        self._check(status, f"cannot say '{text}'")
        self._check(self._library.espeak_Synchronize(), f"cannot finish '{text}'")
        if not self._chunks:
            raise AccentError(f"espeak-ng made no sound of '{text}' with the voice {name}; give it other text")
        return Spoken(np.concatenate(self._chunks), self.rate, tuple(self._words), tuple(self._phones))

    def _check(self, status: int, what: str) -> None:
        if status != 0:
            raise AccentError(f"espeak-ng: {what} (status {status}); reinstall espeakng-loader or choose another")

    def _collect(
        self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: "ctypes._Pointer[_Event]"
    ) -> int:
        if samples and count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        position = 0
        while events[position].type != _EVENT_END:
            event = events[position]
            if event.type == _EVENT_WORD:
                self._words.append((event.sample, event.text_position - 1, event.length))
            elif event.type == _EVENT_PHONEME:
                # Eight bytes hold every phone of the accents at hand; a longer one would be cut inside a character.
                self._phones.append((event.sample, event.id.string.decode(errors="ignore")))
            position += 1
        return 0
