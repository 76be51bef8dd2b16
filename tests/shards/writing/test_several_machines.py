"""Several machines fill one folder: the bytes one machine would have written, whatever dies and whoever is first."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from accent.errors import AccentError
from accent.features.config import FeatureConfig
from shards.writing import resume as unfinished
from shards.writing.lock import locked
from shards.writing.merge import merge
from shards.writing.processor import FeatureProcessor, FeaturizeConfig, Partition
from tests.conftest import REPOSITORY
from tests.support.dying import in_a_child
from tests.support.shard_sets.recorded_pool import hashes, use_recorded_results
from tests.support.sound.vowel_corpus import make_vowel_corpus

CONFIG = FeaturizeConfig(samples_per_shard=2)
COUNT = 3
"""Parts; the corpus makes five shards."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Nine recordings of one accent by two speakers, and one that cannot be used."""
    root = make_vowel_corpus(tmp_path_factory.mktemp("machines") / "corpus", {"O1": "Open", "C1": "Close"}, 5)
    (root / "O1" / "wav" / "arctic_a0000.wav").write_bytes(b"RIFF no sound")
    (root / "STRANGER" / "wav").mkdir(parents=True)
    (root / "STRANGER" / "wav" / "hello.wav").write_bytes(b"never opened")
    return root


RESULTS: dict = {}


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    """Each input is computed once for all tests of this file, in this process."""
    use_recorded_results(monkeypatch, RESULTS)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    """What one machine writes."""
    folder = tmp_path_factory.mktemp("whole") / "shards"
    FeatureProcessor(corpus, folder, CONFIG, workers=2).process_dataset()
    return hashes(folder)


def _make(corpus, folder, number, count=COUNT):
    return FeatureProcessor(corpus, folder, CONFIG, workers=1).process_part(Partition(number, count))


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_every_shard_is_in_exactly_one_part(count):
    shares = [Partition(number, count) for number in range(1, count + 1)]
    assert sorted(itertools.chain.from_iterable(share.of(7) for share in shares)) == list(range(7))
    sizes = [len(share.of(7)) for share in shares]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "/", "a/b", "1/0", "-1/3", "1/2/3"])
def test_a_part_that_does_not_exist_is_one_line(text):
    with pytest.raises(ValueError, match=r"not of the form K/N|does not exist") as caught:
        Partition.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3)))[::2])
def test_parts_in_any_order_and_merged_are_what_one_machine_writes(corpus, whole, tmp_path, order):
    missing = [_make(corpus, tmp_path, number) for number in order]
    assert missing[-1] == 0 and missing == sorted(missing, reverse=True) and missing[0] > 0
    assert not (tmp_path / "manifest.json").exists()
    assert len(merge(tmp_path)) == 9
    assert hashes(tmp_path) == whole


def test_a_run_without_part_makes_the_rest_and_the_manifest(corpus, whole, tmp_path):
    _make(corpus, tmp_path, 2)
    made = {path: path.stat().st_ino for path in tmp_path.glob("shard-*.tar")}
    assert made
    FeatureProcessor(corpus, tmp_path, CONFIG).process_dataset()
    assert {path: path.stat().st_ino for path in made} == made, "a finished shard was made again"
    assert hashes(tmp_path) == whole


def test_parts_of_another_count_make_the_rest(corpus, whole, tmp_path):
    _make(corpus, tmp_path, 2, 3)
    assert [_make(corpus, tmp_path, number, 2) for number in (1, 2)][-1] == 0
    merge(tmp_path)
    assert hashes(tmp_path) == whole


def test_more_parts_than_shards_leave_some_without_work(corpus, whole, tmp_path):
    assert [_make(corpus, tmp_path, number, 8) for number in range(1, 9)][-1] == 0
    merge(tmp_path)
    assert hashes(tmp_path) == whole


def test_merging_needs_neither_the_corpus_nor_doing_it_once(corpus, whole, tmp_path):
    moved = corpus.with_name("moved")
    for number in (1, 2, 3):
        _make(corpus, tmp_path, number)
    corpus.rename(moved)
    try:
        merge(tmp_path)
        assert hashes(tmp_path) == whole
        assert len(merge(tmp_path)) == 9
    finally:
        moved.rename(corpus)
    assert _make(corpus, tmp_path, 1) == 0
    assert hashes(tmp_path) == whole


def test_missing_parts_are_named(corpus, tmp_path):
    _make(corpus, tmp_path, 3)
    with pytest.raises(AccentError, match=r"4 of 5 shards are missing.*: 2 of part 1/3, 2 of part 2/3; run") as caught:
        merge(tmp_path)
    assert "\n" not in str(caught.value)
    _make(corpus, tmp_path, 1)
    (tmp_path / "shard-000002.tar").write_bytes(b"cut short")
    with pytest.raises(AccentError, match=r"3 of 5 shards are missing or damaged: 2 of part 2/3, 1 of part 3/3;"):
        merge(tmp_path)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_flipped_shard_is_not_merged_but_named_and_made_again(corpus, whole, tmp_path, caplog):
    for number in (1, 2, 3):
        _make(corpus, tmp_path, number)
    _flip(tmp_path / "shard-000001.tar")
    with pytest.raises(AccentError, match=r"1 of 5 shards are missing or damaged: 1 of part 2/3"):
        merge(tmp_path)
    assert "shard-000001.tar: damaged (another sha256" in caplog.text
    _make(corpus, tmp_path, 2)
    merge(tmp_path)
    assert hashes(tmp_path) == whole


@pytest.mark.parametrize("damage", [_flip, lambda path: os.truncate(path, 100), lambda path: os.truncate(path, 0)])
def test_a_damaged_record_is_told_and_its_shard_made_again(corpus, whole, tmp_path, caplog, damage):
    for number in (1, 2, 3):
        _make(corpus, tmp_path, number)
    damage(tmp_path / ".parts" / "shard-000003.npz")
    with pytest.raises(AccentError, match=r"1 of 5 shards are missing or damaged: 1 of part 1/3"):
        merge(tmp_path)
    assert "shard-000003.npz: damaged" in caplog.text
    FeatureProcessor(corpus, tmp_path, CONFIG, workers=1).process_dataset()
    assert hashes(tmp_path) == whole


@pytest.mark.parametrize("text", ["", "[]", "{", '{"refused": []}', '{"refused": [1]}'])
def test_a_damaged_plan_is_one_line(corpus, tmp_path, text):
    _make(corpus, tmp_path, 1)
    (tmp_path / ".parts" / "plan.json").write_text(text)
    for start in (lambda: merge(tmp_path), lambda: _make(corpus, tmp_path, 2)):
        with pytest.raises(AccentError, match=r"plan.json: .*delete the folder") as caught:
            start()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()])
def test_there_is_nothing_to_merge_where_nothing_was_begun(tmp_path, make):
    make(tmp_path / "out")
    with pytest.raises(AccentError, match=f"^{tmp_path}/out: no .*featurize"):
        merge(tmp_path / "out")


def test_nothing_is_merged_while_a_part_is_being_made(corpus, tmp_path):
    _make(corpus, tmp_path, 1)
    with locked(tmp_path, Partition(2, 3)):
        with pytest.raises(AccentError, match="writing part 2/3"):
            merge(tmp_path)
        with pytest.raises(AccentError, match="writing part 2/3"):
            _make(corpus, tmp_path, 2)
        assert _make(corpus, tmp_path, 3) == 2


def test_a_part_removes_what_it_left_behind_and_leaves_the_rest_to_others(corpus, whole, tmp_path):
    (tmp_path / ".parts").mkdir()
    mine = [tmp_path / "shard-000000.tar.0a.tmp", tmp_path / ".parts" / "shard-000003.npz.1b.tmp"]
    theirs = [tmp_path / "shard-000001.tar.2c.tmp", tmp_path / ".parts" / "shard-000004.npz.3d.tmp"]
    for path in mine + theirs:
        path.write_bytes(b"half")
    _make(corpus, tmp_path, 1)
    assert not any(path.exists() for path in mine) and all(path.exists() for path in theirs)
    (tmp_path / ".lock-3-of-3").touch()
    for number in (2, 3):
        _make(corpus, tmp_path, number)
    merge(tmp_path)
    assert hashes(tmp_path) == whole


def test_other_software_on_another_machine_is_refused(corpus, tmp_path, monkeypatch):
    _make(corpus, tmp_path, 1)
    newer = {**unfinished.made_with(), "numba": "99.0"}
    monkeypatch.setattr(unfinished, "made_with", lambda: newer)
    for work in (lambda: _make(corpus, tmp_path, 2), lambda: merge(tmp_path)):
        with pytest.raises(AccentError, match=r"numba \S+ there and 99\.0 here"):
            work()


def test_another_configuration_on_another_machine_is_refused(corpus, tmp_path):
    _make(corpus, tmp_path, 1)
    other = FeaturizeConfig(features=FeatureConfig(pitch_ceiling_hz=500), samples_per_shard=2)
    with pytest.raises(AccentError, match=r"features\.pitch_ceiling_hz is 600.0 there and 500"):
        FeatureProcessor(corpus, tmp_path, other).process_part(Partition(2, 3))


def test_a_folder_begun_by_another_version_is_one_line(corpus, tmp_path):
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "plan.json").write_text(json.dumps({"fingerprint": "x", "configuration": {}}))
    with pytest.raises(AccentError, match="another version of this program"):
        _make(corpus, tmp_path, 1)


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_wherever_a_part_or_the_merging_dies_the_next_one_gives_the_same_bytes(corpus, whole, tmp_path, every):
    for number in (1, 2):
        _make(corpus, tmp_path / "first", number, 2)
    for die_at in itertools.count(0, every):
        folder = tmp_path / f"out{die_at}"
        folder.mkdir()

        def everything(folder=folder):
            for number in (1, 2):
                _make(corpus, folder, number, 2)
            merge(folder)

        status = in_a_child(everything, die_at)
        assert in_a_child(everything, None) == 0
        assert hashes(folder) == whole, f"after dying at call {die_at}"
        if status == 0:
            break
        assert status == 9
    assert die_at > 40, "steps were tried to the end"


SCRIPT = """
import sys
from shards.writing.processor import FeatureProcessor, FeaturizeConfig, Partition
config = FeaturizeConfig(samples_per_shard=2)
FeatureProcessor(sys.argv[1], sys.argv[2], config, workers=1).process_part(Partition.parse(sys.argv[3]))
"""


def test_parts_made_at_the_same_time_are_what_one_machine_writes(corpus, whole, tmp_path):
    runs = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(corpus), str(tmp_path), f"{number}/2"], cwd=REPOSITORY)
        for number in (1, 2)
    ]
    assert [run.wait(timeout=200) for run in runs] == [0, 0]
    merge(tmp_path)
    assert hashes(tmp_path) == whole


def test_the_job_script_is_valid_and_hands_on_its_words(tmp_path):
    script = REPOSITORY / "configs" / "slurm" / "featurize.sbatch"
    assert subprocess.run(["bash", "-n", str(script)], timeout=120).returncode == 0
    (tmp_path / "accent").write_text('#!/bin/bash\nprintf "%s\\n" "$OMP_NUM_THREADS" "$@"\n')
    (tmp_path / "accent").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "SLURM_ARRAY_TASK_ID": "3",
        "SLURM_ARRAY_TASK_COUNT": "16",
        "SLURM_CPUS_PER_TASK": "8",
    }
    run = ["bash", str(script), "a corpus", "out", "seed=3"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=120)
    expected = ["1", "featurize", "a corpus", "out", "seed=3", "--part", "3/16", "--workers", "8"]
    assert done.stdout.splitlines() == expected
    again = subprocess.run(run, env={**environment, "PARTS": "20"}, capture_output=True, text=True, timeout=120)
    assert "3/20" in again.stdout.splitlines()
    assert subprocess.run(run[:3], env=environment, capture_output=True, timeout=120).returncode == 2
