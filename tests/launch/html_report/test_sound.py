"""Sound in the page: what is played is what was recorded, and there is not too much of it."""

import base64
import io

import numpy as np
import pytest
import soundfile

from accent.errors import AccentError
from launch.evaluation.evaluate import evaluate_run
from launch.html_report.files import open_all
from launch.html_report.report import write_report
from launch.html_report.sound import MOST_SECONDS, RATE, encoded, sounds
from shards import FeatureProcessor
from shards.splits.split import Split
from tests.support.report_page import Page
from tests.support.sound.synthesis import vowel
from tests.support.sound.vowel_corpus import SPEAKERS, make_vowel_corpus
from tests.support.training.evaluated_runs import make_run

TESTED = ("O1", "C1")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_vowel_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(tmp_path_factory, corpus):
    """An evaluated run on real, short sound."""
    folder = tmp_path_factory.mktemp("run")
    shard_set = FeatureProcessor(corpus, folder / "shards", workers=1).process_dataset()
    split = Split(train=tuple(sorted(set(SPEAKERS) - set(TESTED))), validation=(), test=TESTED)
    run = make_run(folder / "run", shard_set, split)
    evaluate_run(run, shard_set.root)
    return run


def decoded(uri: str) -> np.ndarray:
    kind, data = uri.split(",")
    assert kind == "data:audio/mpeg;base64"
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == RATE
    return samples


def test_what_is_played_is_the_kept_region_of_the_file(tmp_path):
    samples = np.concatenate([np.zeros(8000), vowel(120, [500, 1500, 2500], seconds=0.5), np.zeros(8000)])
    soundfile.write(tmp_path / "one.wav", samples, RATE)
    heard = decoded(encoded(tmp_path / "one.wav", (0.5, 1.0)))
    assert abs(len(heard) - 8000) < 0.15 * RATE
    spectrum, expected = (np.abs(np.fft.rfft(one, 16_384)) for one in (heard, samples[8000:16_000]))
    assert np.corrcoef(spectrum, expected)[0, 1] > 0.98


def test_a_long_recording_is_cut(tmp_path):
    soundfile.write(tmp_path / "long.flac", np.random.default_rng(0).uniform(-0.1, 0.1, (44_100 * 30, 2)), 44_100)
    uri = encoded(tmp_path / "long.flac", (2.0, 30.0))
    assert abs(len(decoded(uri)) / RATE - MOST_SECONDS) < 0.15
    # A hundred of these and plotly.js stay below 20 MB.
    assert 100 * len(uri) + 5e6 < 20e6


def test_points_of_the_map_play_recordings_of_unseen_speakers(run, corpus, tmp_path):
    page = Page(write_report([run], tmp_path / "page.html", corpus))
    archive = np.load(run / "evaluation" / "embeddings.npz")
    assert set(page.json["sound"]) == set(archive["keys"][archive["unseen"]])
    assert all(len(decoded(uri)) > 0.5 * RATE for uri in page.json["sound"].values())
    for trace in page.json["data-space-pca-recordings-0"]["data"]:
        for key, _, speaker, hint in trace["customdata"]:
            assert bool(hint) == (speaker in TESTED) == (key in page.json["sound"])


def test_a_page_has_at_most_so_many_recordings_evenly_over_speakers(run, corpus):
    keys = list(sounds(open_all([run]), corpus, most=4))
    assert len(keys) == 4 and {key.split("-")[0] for key in keys} == set(TESTED)


def test_a_corpus_that_is_elsewhere_is_one_line(accent, run, tmp_path):
    status, _, printed = accent("report", run, "--corpus", tmp_path, "-o", tmp_path / "page.html")
    assert status == 2 and printed.count("\n") == 1 and "say where the corpus of the shard set is (--corpus)" in printed
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(AccentError, match="no such sound file"):
        encoded(tmp_path / "missing.wav", (0, 1))
