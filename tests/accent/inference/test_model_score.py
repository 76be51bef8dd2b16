"""`model.score` on real speech: what was said scores better than what was not."""

import numpy as np
import pytest
import soundfile

import accent
from accent.errors import AccentError
from accent.features.phones import CONSONANTS, VOWELS
from accent.inference.pronunciation import Expected
from tests.support.sound.not_speech import NOISE, RATE, synthesise


@pytest.fixture(scope="module")
def model(saa_phones_run):
    return accent.load(saa_phones_run)


@pytest.fixture(scope="module")
def recordings(saa):
    """Sound and alignment of speakers whose accents were never trained on."""
    sounds = [saa / speaker / "wav" / "arctic_a0002.wav" for speaker in ("ENG036", "ENG059", "SPA071", "SPA086")]
    return [(path, path.parents[1] / "textgrid" / f"{path.stem}.TextGrid") for path in sounds]


def test_each_phone_of_the_textgrid_is_scored(model, recordings):
    for sound, textgrid in recordings:
        found = model.score(sound, textgrid)
        spoken = [one for one in Expected.read(textgrid).phones if one[2] not in ("sil", "spn")]
        assert [(one.start, one.end, one.phone) for one in found.phones] == spoken and found.expected
        told = [one.goodness for one in found.phones if one.goodness is not None]
        assert len(told) > 0.8 * len(spoken) and max(told) <= 0
        assert found.goodness == pytest.approx(np.mean(told))


def test_phones_that_were_said_are_better_than_phones_that_were_not(model, recordings):
    rng = np.random.default_rng(0)
    right, wrong = [], []
    for sound, textgrid in recordings:
        expected = Expected.read(textgrid)
        others = []
        for start, end, phone in expected.phones:
            kind = VOWELS if phone in VOWELS else CONSONANTS
            other = phone if phone in ("sil", "spn") else rng.choice([one for one in kind if one != phone])
            others.append((start, end, str(other)))
        right += [one.goodness for one in model.score(sound, expected).phones if one.goodness is not None]
        wrong += [one.goodness for one in model.score(sound, Expected(others)).phones if one.goodness is not None]
    # The share of pairs in which the right phone is the better one: the area under the ROC.
    assert np.mean(np.array(right)[:, None] > np.array(wrong)[None]) > 0.6


def test_samples_with_their_rate_are_the_file(model, recordings):
    sound, textgrid = recordings[0]
    samples, rate = soundfile.read(sound, dtype="int16")
    assert model.score(samples, textgrid, rate=rate) == model.score(sound, textgrid)


def test_without_a_textgrid_the_decoded_phones_are_scored(model, recordings):
    found = model.score(recordings[0][0])
    assert not found.expected and len(found.phones) > 5 and found.words == ()


def test_what_cannot_be_scored_is_one_line(model, saa_run, recordings, tmp_path):
    sound, textgrid = recordings[0]
    with pytest.raises(AccentError, match="no phone heads; train one"):
        accent.load(saa_run).score(sound, textgrid)
    with pytest.raises(AccentError, match="no such TextGrid"):
        model.score(sound, tmp_path / "none.TextGrid")
    with pytest.raises(AccentError, match="noise, not speech"):
        model.score(synthesise(NOISE[1], 1), textgrid, rate=RATE)
