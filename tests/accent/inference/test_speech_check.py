"""Real speech passes; silence, noise and music are refused with a reason."""

import numpy as np
import pytest
import soundfile

import accent
from accent.audio.prepare import load_speech, prepare_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.inference.speech_check import kind_of_sound
from tests.support.sound.not_speech import MUSIC, NOISE, RATE, engine, synthesise

CONFIG = FeatureConfig()


def kind_of(samples, rate=RATE):
    return kind_of_sound(extract(prepare_speech(samples, rate, CONFIG.audio), CONFIG).frames_TD)


def test_every_recording_of_real_speech_passes(saa, speechocean, saa8k):
    files = sorted(saa.glob("*/wav/arctic_a000[14].wav"))
    files += sorted(speechocean.glob("*/wav/*"))[::60] + sorted(saa8k.glob("*/wav/*"))[::60]
    assert len(files) > 80
    reasons = {path: kind_of_sound(extract(load_speech(path, CONFIG.audio), CONFIG).frames_TD).reason for path in files}
    assert [path for path, reason in reasons.items() if reason] == []


def test_speech_in_noise_of_a_tenth_of_its_power_passes(saa):
    for seed, path in enumerate(sorted(saa.glob("*/wav/arctic_a0002.wav"))):
        samples, rate = soundfile.read(path)
        noise = np.random.default_rng(seed).standard_normal(len(samples))
        noisy = samples + noise * np.sqrt((samples**2).mean() / 10)
        assert kind_of(noisy, rate).reason is None, path


@pytest.mark.parametrize("kind", NOISE, ids=lambda kind: kind.__name__)
def test_noise_is_refused(kind):
    refused = [kind_of(synthesise(kind, seed)).reason for seed in range(6)]
    # An engine that revs has a pitch that moves as a voice does: half of them pass.
    assert sum(reason is not None for reason in refused) >= (1 if kind is engine else 5)
    assert all(reason is None or "not speech" in reason for reason in refused)


@pytest.mark.parametrize("kind", MUSIC, ids=lambda kind: kind.__name__)
def test_music_is_refused(kind):
    assert sum(kind_of(synthesise(kind, seed)).reason is not None for seed in range(6)) >= 5


def test_a_model_refuses_to_identify_them_and_embeds_them_all_the_same(saa_run):
    model = accent.load(saa_run)
    tune, noise = (synthesise(kind, 1) for kind in (MUSIC[0], NOISE[1]))
    with pytest.raises(AccentError, match="recording 1: music or a tone, not speech: its pitch holds still"):
        model.identify(tune, rate=RATE)
    with pytest.raises(AccentError, match="recording 1: noise, not speech"):
        model.verify(noise, tune, rate=RATE)
    assert np.linalg.norm(model.embed(noise, rate=RATE)) == pytest.approx(1, abs=1e-5)
