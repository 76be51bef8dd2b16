"""Voice onset time: synthetic stops whose burst and voicing are known, and real ones as the literature has them."""

from pathlib import Path

import numpy as np
import pytest

from accent.audio.prepare import load_speech
from accent.features.config import FeatureConfig
from accent.features.kernels.pitch import track_pitch
from accent.features.kernels.pulses import glottal_pulses
from accent.features.textgrid import read_alignment
from accent.features.voice_onset import STOPS, VOICED_AFTER, voice_onset_times
from tests.support.sound.synthesis import RATE, VOWELS, noise, pulses, resonate

BURST = 0.35
CLOSURE = 0.25
"""The stop begins here, after a vowel and before the burst."""
BANDWIDTHS = (60.0, 90.0, 120.0, 150.0, 200.0)
CONFIG = FeatureConfig()


def spoken(voicing: float, f0: float, vowel: str, led_from: float | None = None, seed: int = 0) -> np.ndarray:
    """Return a vowel, a closure, a burst at `BURST`, aspiration, and a vowel whose voicing begins at a time.

    Voicing that leads the burst begins at `led_from` and is what passes through the walls of a closed mouth.
    """
    seconds = voicing + 0.3
    clock_N = np.arange(round(seconds * RATE)) / RATE
    voices = [np.arange(0.05, CLOSURE - 0.5 / f0, 1 / f0), np.arange(voicing, seconds - 0.02, 1 / f0)]
    times_P = np.concatenate(voices)
    source_N = pulses(times_P, np.ones(len(times_P)), seconds)
    sound_N = resonate(source_N, VOWELS[vowel], BANDWIDTHS)
    sound_N *= 0.4 / np.abs(sound_N).max()
    hiss_N = noise(seconds, seed=seed)
    fading_N = np.where(clock_N >= BURST, np.exp(-(clock_N - BURST) / 0.003), 0)
    breath_N = resonate(hiss_N * ((clock_N >= BURST) & (clock_N < voicing)), VOWELS[vowel], (300.0,) * 5)
    sound_N += 0.08 * hiss_N * fading_N + 0.01 * breath_N / max(breath_N.std(), 1e-9) + 2e-4 * noise(seconds, seed=9)
    if led_from is not None:
        times_P = np.arange(led_from, BURST, 1 / f0)
        led_N = resonate(pulses(times_P, np.ones(len(times_P)), seconds, width=8e-4), (200.0,), (100.0,))
        sound_N += 0.08 * led_N / np.abs(led_N).max()
    return sound_N


def measured(sound_N: np.ndarray, voicing: float, stop: str = "T", after: str = "AA") -> float:
    pulses_P = glottal_pulses(sound_N, track_pitch(sound_N, CONFIG).f0_T)
    end = max(voicing, BURST + 0.01)
    intervals = [(0.05, CLOSURE, "AA"), (CLOSURE, end, stop), (end, end + 0.25, after)]
    found = voice_onset_times(sound_N, pulses_P, intervals)
    assert np.isnan(found[[0, 2]]).all()
    return float(found[1])


@pytest.mark.parametrize("f0", [95.0, 130.0, 210.0])
def test_voicing_after_the_burst_is_found_within_five_milliseconds(f0: float) -> None:
    errors = []
    for vowel in VOWELS:
        for seed, onset in enumerate((0.008, 0.02, 0.045, 0.08, 0.12)):
            errors.append(measured(spoken(BURST + onset, f0, vowel, seed=seed), BURST + onset) - onset)
    print(f"{f0} Hz: errors in ms", np.round(1000 * np.array(errors), 1).tolist())
    assert np.abs(errors).max() < 0.0055 and np.quantile(np.abs(errors), 0.8) < 0.0025


@pytest.mark.parametrize("f0", [110.0, 190.0])
def test_voicing_that_leads_is_negative(f0: float) -> None:
    for led_from in (0.28, 0.3):
        voicing = BURST + 0.006
        found = measured(spoken(voicing, f0, "a", led_from=led_from), voicing, "D")
        assert found == pytest.approx(led_from - BURST, abs=0.012), led_from


def test_voicing_that_never_stops_has_no_onset() -> None:
    assert np.isnan(measured(spoken(BURST + 0.006, 120.0, "a", led_from=CLOSURE), BURST + 0.006, "D"))


def test_there_is_none_without_a_stop_a_burst_or_voicing_after_it() -> None:
    voicing = BURST + 0.05
    sound_N = spoken(voicing, 120.0, "a")
    assert np.isfinite(measured(sound_N, voicing))
    assert np.isnan(measured(sound_N, voicing, stop="S")) and np.isnan(measured(sound_N, voicing, after="S"))
    silent_N = sound_N.copy()
    silent_N[round((CLOSURE + 0.01) * RATE) : round(voicing * RATE)] = 0
    # What is left rises at the onset of voicing, which then is the burst, or nowhere.
    assert not measured(silent_N, voicing) > 0.004
    empty = voice_onset_times(np.zeros(RATE), np.empty(0), [(0.1, 0.2, "T"), (0.2, 0.4, "AA")])
    assert np.isnan(empty).all()
    assert len(voice_onset_times(sound_N, np.empty(0), [])) == 0


def test_real_stops_are_as_the_literature_has_them(saa: Path) -> None:
    """Lisker and Abramson 1964: English p, t, k are aspirated but after s; b, d, g have short lags."""
    values: dict[str, list[float]] = {"voiceless": [], "after s": [], "voiced": []}
    for sound in sorted(saa.glob("*/wav/arctic_a000[135].wav")):
        sound_N = load_speech(sound, CONFIG.audio).unfiltered_N
        pulses_P = glottal_pulses(sound_N, track_pitch(sound_N, CONFIG).f0_T)
        intervals = read_alignment(sound.parent.parent / "textgrid" / f"{sound.stem}.TextGrid").intervals
        found = voice_onset_times(sound_N, pulses_P, intervals)
        for place, (_, _, phone) in enumerate(intervals[:-1]):
            if phone in STOPS and intervals[place + 1][2] in VOICED_AFTER:
                kind = "voiced" if phone in "BDG" else "after s" if intervals[place - 1][2] == "S" else "voiceless"
                values[kind].append(found[place])
    medians = {kind: 1000 * float(np.nanmedian(found)) for kind, found in values.items()}
    for kind, found in values.items():
        undefined = np.isnan(found).mean()
        print(f"{kind}: {len(found)} before a voiced phone, {undefined:.2f} undefined, median {medians[kind]:.1f} ms")
    assert min(np.isfinite(found).sum() for found in values.values()) >= 35
    assert 30 < medians["voiceless"] < 90 and medians["voiced"] < 20
    assert medians["voiced"] < medians["after s"] < medians["voiceless"] - 10
