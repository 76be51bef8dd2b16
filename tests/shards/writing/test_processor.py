"""From real recordings to a shard set: the same bytes whatever the workers and however often it was killed."""

import hashlib
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import webdataset
from rich.console import Console

from accent.audio.prepare import load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract
from accent.features.phones import PHONES
from accent.features.schema import N_COLUMNS
from accent.features.textgrid import read_alignment
from shards.corpora.corpus import CorpusConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.summary import refused_table, verify
from shards.writing import processor as featurize
from shards.writing.processor import FeatureProcessor, FeaturizeConfig
from tests.support.dying import in_a_child
from tests.support.shard_sets.recorded_pool import hashes, use_recorded_results

SPEAKERS = ("ARA004", "ENG036")
GOOD = 5
CONFIG = FeaturizeConfig(samples_per_shard=2, seed=3)


@pytest.fixture(scope="module")
def corpus(saa, tmp_path_factory):
    """Five real recordings, two of them without an alignment, and three that cannot be used."""
    root = tmp_path_factory.mktemp("corpora") / "small"
    rows = (saa / "speakers.tsv").read_text().splitlines()
    root.mkdir()
    (root / "speakers.tsv").write_text("\n".join([rows[0], *(row for row in rows if row.split("\t")[0] in SPEAKERS)]))
    for speaker, count in zip(SPEAKERS, (3, 2), strict=True):
        for kind in ("wav", "transcript", "textgrid"):
            (root / speaker / kind).mkdir(parents=True)
            for path in sorted((saa / speaker / kind).iterdir())[:count]:
                shutil.copyfile(path, root / speaker / kind / path.name)
    shutil.rmtree(root / "ENG036" / "textgrid")
    wav = root / "ENG036" / "wav"
    (wav / "corrupt.wav").write_bytes(b"RIFF this is not sound")
    (wav / "empty.wav").write_bytes(b"")
    soundfile.write(wav / "silent.wav", np.zeros(16000), 16000)
    return root


@pytest.fixture(scope="module")
def made(corpus, tmp_path_factory):
    """The corpus, featurized by one worker."""
    folder = tmp_path_factory.mktemp("made") / "shards"
    return FeatureProcessor(corpus, folder, CONFIG, workers=1).process_dataset()


def _samples(shard_set: ShardSet) -> dict[str, dict]:
    return {
        sample["__key__"]: sample
        for shard in shard_set.manifest.shards
        for sample in webdataset.WebDataset(str(shard_set.root / shard.name), shardshuffle=False).decode()
    }


def test_webdataset_reads_what_feature_extraction_gives(made, corpus):
    samples = _samples(made)
    assert len(samples) == GOOD == len(made)
    config = CONFIG.features
    for speaker, key, sex in (("ARA004", "ARA004-arctic_a0002", "male"), ("ENG036", "ENG036-arctic_a0001", "male")):
        path = corpus / speaker / "wav" / f"{key.partition('-')[2]}.wav"
        textgrid = corpus / speaker / "textgrid" / f"{path.stem}.TextGrid"
        intervals = read_alignment(textgrid).intervals if textgrid.exists() else None
        features = extract(load_speech(path, config.audio), config, intervals, sex)
        np.testing.assert_array_equal(samples[key]["frames.npy"], features.frames_TD.astype(np.float16))
        assert ("phones.npy" in samples[key]) == (intervals is not None)
        if intervals is not None:
            np.testing.assert_array_equal(samples[key]["phones.npy"], features.phones_T)
        stored = samples[key]["json"]["utterance"]
        assert list(stored) == list(features.utterance)
        for name, value in features.utterance.items():
            expected = None if np.isnan(value) else pytest.approx(value, rel=5.1e-6, abs=1e-10)
            assert stored[name] == expected


def test_the_metadata_tell_where_a_sample_comes_from(made, corpus):
    metadata = _samples(made)["ARA004-arctic_a0002"]["json"]
    source = corpus / "ARA004" / "wav" / "arctic_a0002.wav"
    assert metadata["source"] == "ARA004/wav/arctic_a0002.wav"
    assert metadata["source_sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert (metadata["speaker"], metadata["accent"], metadata["sex"]) == ("ARA004", "Arabic", "male")
    assert metadata["text"] == (corpus / "ARA004" / "transcript" / "arctic_a0002.txt").read_text().strip()
    start, end = metadata["kept_region"]
    assert end - start == pytest.approx(metadata["duration"])
    assert 0 <= start < end <= soundfile.info(source).duration + 0.01
    assert metadata["preprocessing"]


def test_inputs_that_cannot_be_used_are_listed_and_the_rest_is_used(made):
    assert len(made) == GOOD
    refused = {one.path: one.reason for one in made.manifest.refused}
    assert sorted(refused) == [f"ENG036/wav/{name}.wav" for name in ("corrupt", "empty", "silent")]
    assert "silent" in refused["ENG036/wav/silent.wav"]
    for reason in refused.values():
        assert reason and "\n" not in reason and str(made.root) not in reason and "/tmp" not in reason


def test_index_offsets_lead_to_each_samples_own_bytes(made):
    samples = _samples(made)
    for row in made.index:
        descriptor = os.open(made.root / made.manifest.shards[row["shard"]].name, os.O_RDONLY)
        metadata = json.loads(os.pread(descriptor, int(row["metadata_bytes"]), int(row["metadata_offset"])))
        data = os.pread(descriptor, int(row["frames"]) * N_COLUMNS * 2, int(row["frames_offset"]))
        frames_TD = samples[metadata["key"]]["frames.npy"]
        np.testing.assert_array_equal(np.frombuffer(data, np.float16).reshape(-1, N_COLUMNS), frames_TD)
        assert metadata["speaker"] == made.speakers[row["speaker"]]
        assert metadata["prompt"] == made.prompts[row["prompt"]]
        if row["phones_offset"] >= 0:
            data = os.pread(descriptor, int(row["frames"]) * 2, int(row["phones_offset"]))
            np.testing.assert_array_equal(np.frombuffer(data, np.int16), samples[metadata["key"]]["phones.npy"])
        os.close(descriptor)
    assert made.manifest.phones == PHONES
    verify(made)


def test_statistics_are_those_of_the_stored_values(made):
    samples = _samples(made)
    for speaker in SPEAKERS:
        mine = [one["frames.npy"] for one in samples.values() if one["json"]["speaker"] == speaker]
        frames_TD = np.concatenate(mine).astype(np.float64)
        statistics = made.statistics([speaker])
        np.testing.assert_array_equal(statistics.count_D, (~np.isnan(frames_TD)).sum(axis=0))
        some_D = statistics.count_D > 0
        np.testing.assert_allclose(statistics.mean_D[some_D], np.nanmean(frames_TD[:, some_D], axis=0), rtol=1e-10)


@pytest.mark.parametrize("workers", [3, pytest.param(7, marks=pytest.mark.slow)])
def test_the_number_of_workers_changes_no_byte(made, corpus, tmp_path, workers):
    FeatureProcessor(corpus, tmp_path / "out", CONFIG, workers=workers).process_dataset()
    assert hashes(tmp_path / "out") == hashes(made.root)


def test_a_copy_of_the_corpus_elsewhere_gives_the_same_bytes(made, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "elsewhere" / corpus.name)
    FeatureProcessor(tmp_path / "elsewhere" / corpus.name, tmp_path / "out", CONFIG, workers=1).process_dataset()
    assert hashes(tmp_path / "out") == hashes(made.root)


RESULTS: dict = {}


@pytest.fixture
def recorded(monkeypatch):
    """For tests about the disk: no process is started, and each input is computed once for all of them."""
    use_recorded_results(monkeypatch, RESULTS)


SCRIPT = """
import sys
from shards.writing.processor import FeatureProcessor, FeaturizeConfig
FeatureProcessor(sys.argv[1], sys.argv[2], FeaturizeConfig(samples_per_shard=2, seed=3), workers=2).process_dataset()
"""


def _finished(folder: Path) -> list[Path]:
    """Shards that have both their final name and their record."""
    return [path for path in folder.glob("shard-*.tar") if (folder / ".parts" / f"{path.stem}.npz").exists()]


def _interrupted(corpus: Path, folder: Path, number: signal.Signals) -> str:
    """Start a run and send a signal to all its processes once the first shard is finished; return its stderr."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(corpus), str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not _finished(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, number)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode != 0, "the run ended before it could be interrupted"
    return errors


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_resumes_and_gives_the_same_bytes(made, corpus, tmp_path, recorded, how):
    folder = tmp_path / "out"
    _interrupted(corpus, folder, how)
    assert not (folder / "manifest.json").exists()
    before = {path: path.stat().st_ino for path in _finished(folder)}
    assert before
    FeatureProcessor(corpus, folder, CONFIG, workers=1).process_dataset()
    assert {path: path.stat().st_ino for path in before} == before, "a finished shard was made again"
    assert hashes(folder) == hashes(made.root)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_finished_shards_and_leaves_no_temporary_file(made, corpus, tmp_path, recorded):
    folder = tmp_path / "out"
    errors = _interrupted(corpus, folder, signal.SIGINT)
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert not list(folder.rglob("*.tmp")) and not (folder / ".lock").exists()
    FeatureProcessor(corpus, folder, CONFIG, workers=1).process_dataset()
    assert hashes(folder) == hashes(made.root)


class _NoPool:
    def __init__(self, *_: object, **__: object) -> None:
        raise AssertionError("work was begun")


def test_a_shard_without_record_or_of_another_size_is_made_again_with_the_same_bytes(
    made, corpus, tmp_path, monkeypatch, recorded
):
    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(featurize, "assemble_shards", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            FeatureProcessor(corpus, folder, CONFIG, workers=2).process_dataset()
    first, second, *_ = sorted(_finished(folder))
    (folder / ".parts" / f"{first.stem}.npz").unlink()
    second.write_bytes(b"cut short")
    FeatureProcessor(corpus, folder, CONFIG, workers=2).process_dataset()
    assert hashes(folder) == hashes(made.root)


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_wherever_a_run_dies_the_next_one_gives_the_same_bytes(made, corpus, tmp_path, recorded, every):
    FeatureProcessor(corpus, tmp_path / "first", CONFIG).process_dataset()
    assert hashes(tmp_path / "first") == hashes(made.root)
    for die_at in itertools.count(0, every):
        folder = tmp_path / f"out{die_at}"
        run = FeatureProcessor(corpus, folder, CONFIG).process_dataset
        status = in_a_child(run, die_at)
        assert in_a_child(run, None) == 0
        assert hashes(folder) == hashes(made.root), f"after dying at call {die_at}"
        if status == 0:
            break
        assert status == 9
    assert die_at > 24, "steps were tried to the end"


def test_kernels_are_compiled_before_any_worker_starts(corpus, tmp_path, monkeypatch):
    prepared = []
    monkeypatch.setattr(featurize, "prepare", prepared.append)
    monkeypatch.setattr(featurize, "WorkerPool", _NoPool)
    with pytest.raises(AssertionError, match="work was begun"):
        FeatureProcessor(corpus, tmp_path / "out", CONFIG).process_dataset()
    assert prepared == [CONFIG.features]


def test_a_complete_set_is_opened_at_once(made, corpus, monkeypatch):
    monkeypatch.setattr(featurize, "WorkerPool", _NoPool)
    before = hashes(made.root)
    again = FeatureProcessor(corpus, made.root, CONFIG).process_dataset()
    assert len(again) == GOOD and hashes(made.root) == before


def test_another_configuration_does_not_touch_a_complete_set(made, corpus, monkeypatch):
    monkeypatch.setattr(featurize, "WorkerPool", _NoPool)
    other = FeaturizeConfig(features=FeatureConfig(pitch_ceiling_hz=500), samples_per_shard=2, seed=3)
    with pytest.raises(AccentError, match=r"features\.pitch_ceiling_hz is 600.0 there and 500"):
        FeatureProcessor(corpus, made.root, other).process_dataset()
    with pytest.raises(AccentError, match=r"corpus\.speakers is"):
        only = FeaturizeConfig(corpus=CorpusConfig(speakers=("ARA004",)), samples_per_shard=2, seed=3)
        FeatureProcessor(corpus, made.root, only).process_dataset()
    verify(made)


def test_a_corpus_without_one_usable_recording_is_one_clear_line(corpus, tmp_path):
    (tmp_path / "A" / "wav").mkdir(parents=True)
    (tmp_path / "speakers.tsv").write_text("speaker\taccent\nA\tArabic\n")
    shutil.copyfile(corpus / "ENG036" / "wav" / "silent.wav", tmp_path / "A" / "wav" / "x.wav")
    with pytest.raises(AccentError, match=r"none of 1 inputs could be used: A/wav/x\.wav: silent") as caught:
        FeatureProcessor(tmp_path, tmp_path.with_name("out of nothing"), workers=1).process_dataset()
    assert "\n" not in str(caught.value)


def test_an_output_folder_that_is_a_file_is_one_clear_line(corpus, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(AccentError, match=f"{tmp_path}/out: "):
        FeatureProcessor(corpus, tmp_path / "out", CONFIG).process_dataset()


@pytest.mark.parametrize("inside", [".", "A0", "A0/wav", "shards"])
def test_shards_do_not_go_among_the_recordings(corpus, inside):
    before = sorted(corpus.rglob("*"))
    with pytest.raises(AccentError, match="inside the corpus"):
        FeatureProcessor(corpus, corpus / inside, workers=1).process_dataset()
    assert sorted(corpus.rglob("*")) == before


def test_fewer_than_one_worker_is_refused(corpus, tmp_path):
    with pytest.raises(AccentError, match="workers"):
        FeatureProcessor(corpus, tmp_path, workers=0)


def test_refusals_are_in_the_manifest_and_the_first_are_shown_with_their_reasons(corpus, tmp_path, made):
    part = tmp_path / "only"
    (part / "B" / "wav").mkdir(parents=True)
    (part / "speakers.tsv").write_text("speaker\taccent\nB\tArabic\n")
    for number in range(22):
        shutil.copyfile(corpus / "ENG036" / "wav" / "empty.wav", part / "B" / "wav" / f"x{number:02d}.wav")
    shutil.copyfile(corpus / "ARA004" / "wav" / "arctic_a0003.wav", part / "B" / "wav" / "good.wav")
    shard_set = FeatureProcessor(part, tmp_path / "out", workers=1).process_dataset()
    assert len(shard_set) == 1
    console = Console(file=io.StringIO())
    console.print(refused_table(shard_set.manifest.refused))
    shown = console.file.getvalue()
    assert "22 inputs refused" in shown and "B/wav/x00.wav" in shown and "B/wav/x21.wav" not in shown


def test_an_error_that_was_not_foreseen_refuses_its_input_alone(corpus, monkeypatch):
    from shards.writing import encode as module

    def unforeseen(*_, **__):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(module, "extract", unforeseen)
    (utterance, *_) = featurize.open_corpus(corpus, CorpusConfig()).utterances
    result = module.encode(utterance, corpus, FeatureConfig())
    assert isinstance(result, module.Refused)
    assert result.reason == "the features could not be computed (ZeroDivisionError: division by zero)"


def test_an_unreadable_textgrid_costs_the_phones_alone_and_is_named(corpus, tmp_path):
    sound = tmp_path / "a.wav"
    shutil.copyfile(corpus / "ARA004" / "wav" / "arctic_a0001.wav", sound)
    (tmp_path / "a.TextGrid").write_text("nonsense")
    (tmp_path / "t.tsv").write_text("path\tspeaker\taccent\ttextgrid\na.wav\tA\tX\ta.TextGrid\n")
    shard_set = FeatureProcessor(tmp_path / "t.tsv", tmp_path / "out", CONFIG, workers=1).process_dataset()
    assert len(shard_set) == 1 and (shard_set.index["phones_offset"] == -1).all()
    ((remark, count),) = shard_set.manifest.remarks.items()
    assert remark.startswith("a.TextGrid: not readable as a TextGrid") and remark.endswith("kept without phones")
    assert count == 1
