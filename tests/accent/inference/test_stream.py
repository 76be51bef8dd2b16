"""The stream's answers beside those for the same sound as one recording."""

import numpy as np
import pytest

import accent
from accent.audio.decode import decode
from accent.errors import AccentError
from accent.inference.stream import BLOCK_FRAMES
from tests.support.sound.not_speech import NOISE, RATE, synthesise


@pytest.fixture(scope="module", params=["saa_run", "saa_phones_run"])
def model(request):
    return accent.load(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def sounds(saa):
    """Recordings of six speakers, one of each, at their own rate."""
    found = []
    for speaker in sorted(path for path in saa.iterdir() if (path / "wav").is_dir())[::3][:6]:
        samples_NC, rate, _ = decode(sorted((speaker / "wav").glob("*"))[0])
        found.append((samples_NC.mean(1), rate))
    return found


def streamed(model, samples, rate, piece_seconds=0.1, **settings):
    stream = model.stream(rate, **settings)
    answers = []
    piece = round(rate * piece_seconds)
    for at in range(0, len(samples), piece):
        answers += stream.feed(samples[at : at + piece])
    return answers, stream.finish()


def agreement(model, samples, rate, answer):
    """Cosine of the embeddings, and the largest difference of a probability."""
    whole = model.identify(samples, rate)
    probabilities = answer.identification.probabilities
    cosine = float(model.embed(samples, rate) @ answer.embedding_E)
    return cosine, max(abs(probabilities[name] - share) for name, share in whole.probabilities.items())


def test_before_a_block_is_finished_the_answer_is_that_of_the_recording(model, sounds):
    for samples, rate in sounds:
        start = samples[: round(3.0 * rate)]
        _, last = streamed(model, start, rate)
        cosine, difference = agreement(model, start, rate, last)
        assert last.identification.seconds == model.identify(start, rate).seconds
        assert cosine > 0.999 and difference < 2e-4


def test_over_many_blocks_it_stays_close(model, sounds):
    found = []
    for samples, rate in sounds:
        # Said three times: three to five blocks.
        long = np.tile(samples, 3)
        found.append(agreement(model, long, rate, streamed(model, long, rate)[1]))
    cosines, differences = zip(*found, strict=True)
    # Few epochs were trained: probabilities of all recordings lie within some hundredths of each other.
    assert np.median(cosines) > 0.99 and min(cosines) > 0.95 and max(differences) < 1e-2


def test_pieces_of_any_length_give_the_same_answers(model, sounds):
    samples, rate = sounds[0]
    one, _ = streamed(model, samples, rate, 0.1)
    other, _ = streamed(model, samples, rate, 0.73)
    assert [answer.at_seconds for answer in one] == [answer.at_seconds for answer in other]
    for first, second in zip(one, other, strict=True):
        np.testing.assert_allclose(first.embedding_E, second.embedding_E, atol=1e-5)


def test_answers_come_every_hop_and_whole_numbers_are_as_good(model, sounds):
    samples, rate = sounds[1]
    answers, last = streamed(model, (samples * 32767).astype(np.int16), rate, hop_seconds=1.0)
    assert [answer.at_seconds for answer in answers] == [float(at + 1) for at in range(len(answers))]
    assert last.at_seconds == pytest.approx(len(samples) / rate, abs=1e-3)
    _, expected = streamed(model, samples, rate, hop_seconds=1.0)
    assert float(last.embedding_E @ expected.embedding_E) > 0.999


def test_noise_and_silence_do_not_count(model, sounds):
    samples, rate = sounds[2]
    stream = model.stream(rate)
    for answer in stream.feed(np.zeros(3 * rate)):
        assert answer.identification is None and "silent" in answer.reason
    spoken = stream.feed(samples)[-1].identification.seconds
    stream.feed(np.zeros(4 * rate))
    after = stream.finish()
    # Silence at the edges of blocks is left out; what is within one counts, as it does in a recording.
    assert after.identification.seconds <= spoken + BLOCK_FRAMES / 100
    hiss = model.stream(RATE)
    answers = hiss.feed(synthesise(NOISE[1], 1))
    assert answers and all(one.identification is None and "noise" in one.reason for one in answers)


def test_the_last_seconds_alone_are_those_of_the_later_speaker(model, sounds):
    (first, rate), (second, other_rate) = sounds[0], sounds[4]
    assert rate == other_rate
    both = np.concatenate([np.tile(first, 3), np.tile(second, 3)])
    _, everything = streamed(model, both, rate)
    _, recent = streamed(model, both, rate, last_seconds=5.0)
    assert recent.identification.seconds < 10 < everything.identification.seconds
    # As much of the later speaker as was listened to: less says less, whoever speaks.
    later = model.embed(np.tile(second, 3)[-round(recent.identification.seconds * rate) :], rate)
    assert recent.embedding_E @ later > everything.embedding_E @ later


def test_memory_does_not_grow(model, sounds):
    samples, rate = sounds[3]
    stream = model.stream(rate)
    held = []
    for _ in range(6):
        stream.feed(samples)
        held.append(
            len(stream._finished) + len(stream._features._samples_N) // 16_000 + len(stream._waiting_N) // 16_000
        )
    assert max(held) <= 8


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"rate": 10}, "rate"),
        ({"rate": 16_000, "hop_seconds": 9}, "hop"),
        ({"rate": 16_000, "last_seconds": 1}, "last"),
    ],
)
def test_numbers_that_cannot_be_are_one_line(model, settings, word):
    with pytest.raises(AccentError, match=word):
        model.stream(**settings)


@pytest.mark.parametrize(
    ("samples", "word"),
    [(np.zeros((2, 2, 2)), "dimensions"), (np.full(10, np.nan), "finite"), (np.full(10, 3e4), "full scale")],
)
def test_what_is_no_sound_is_refused(model, samples, word):
    with pytest.raises(AccentError, match=word):
        model.stream(16_000).feed(samples)


def test_no_sound_is_no_answer(model):
    stream = model.stream(16_000)
    assert stream.finish().reason == "no sound yet"
    stream.feed(np.zeros(20))
    assert stream.finish().reason == "too short"
