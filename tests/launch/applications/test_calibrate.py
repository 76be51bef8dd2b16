"""The calibration of a run, measured again from its files by other means than the code's."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

from accent.errors import AccentError
from accent.files import sha256_of
from accent.inference.calibration import Calibration, Level
from accent.inference.embedder import AccentEmbedder
from accent.model.encoder import EnhancedAccentEncoder
from launch.applications.calibrate import KNOWN_CALLED_UNKNOWN, calibrate_run
from launch.evaluation.crossval import plan_crossval
from launch.evaluation.fold_run import PREDICTIONS
from launch.evaluation.folds import FoldConfig
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split
from tests.support.training.evaluated_runs import make_run, split_of, synthetic, untrained


def stored(run) -> dict:
    return json.loads((run / "model" / "calibration.json").read_text())


def predictions_of_validation(run, saa):
    """Embed the sound files of the validation speakers, not their shards."""
    embedder = AccentEmbedder.load(run)
    split = json.loads((run / "split.json").read_text())
    accents = {one.name: one.accent for one in ShardSet.open(run_shards(run)).manifest.speakers}
    heard = [
        (name, accents[name], one)
        for name in split["validation"]
        for one in embedder.predict_recordings(
            [embedder._features([path], None)[0] for path in sorted((saa / name / "wav").glob("*.wav"))]
        )
    ]
    return embedder.accents, heard


def run_shards(run):
    import yaml

    return yaml.safe_load((run / "config.yaml").read_text())["shards"]


def test_levels_are_measured_on_validation_speakers_for_one_two_and_four_recordings(saa_run):
    found = stored(saa_run)
    assert found["basis"] == "validation speakers" and found["speakers"] == 6
    assert [level["recordings"] for level in found["levels"]] == [1, 2, 4]
    assert found["weights_sha256"] == sha256_of(saa_run / "model" / "model.safetensors")
    seconds = [level["seconds"] for level in found["levels"]]
    assert seconds == sorted(seconds) and seconds[0] > 1


@pytest.mark.parametrize("fixture", ["saa_run", "saa_phones_run"])
def test_one_recording_is_calibrated_as_the_sound_files_say(fixture, saa, request):
    run = request.getfixturevalue(fixture)
    accents, heard = predictions_of_validation(run, saa)
    level = stored(run)["levels"][0]
    logits = torch.tensor(np.stack([one.logits_A for _, _, one in heard]), dtype=torch.float64)
    label = torch.tensor([accents.index(accent) for _, accent, _ in heard])

    def surprise(temperature: float) -> float:
        return float(torch.nn.functional.cross_entropy(logits / temperature, label))

    best = level["temperature"]
    # The search ends at e^6: a model that is wrong more often than chance is told to be sure of nothing.
    tried = [min(best * factor, np.exp(6)) for factor in (0.8, 0.95, 1.05, 1.25)]
    assert all(surprise(best) <= surprise(temperature) + 1e-6 for temperature in tried)

    energy = -torch.logsumexp(logits, 1).numpy()
    assert (energy > level["unknown_above"]).mean() == pytest.approx(level["known_called_unknown"], abs=0.03)
    assert level["known_called_unknown"] == pytest.approx(KNOWN_CALLED_UNKNOWN, abs=0.03)

    accepted, rejected, others, targets = 0, 0, 0, 0
    for row, (name, accent, one) in enumerate(heard):
        for other_name, other_accent, other in heard[row + 1 :]:
            if name == other_name:
                continue
            same = one.embedding_E @ other.embedding_E > level["same_above"]
            targets += accent == other_accent
            others += accent != other_accent
            rejected += accent == other_accent and not same
            accepted += accent != other_accent and same
    assert rejected / targets == pytest.approx(level["equal_error_rate"], abs=0.02)
    assert accepted / others == pytest.approx(level["equal_error_rate"], abs=0.02)


def test_without_validation_speakers_the_training_speakers_are_measured_and_named(tmp_path):
    shard_set = synthetic(tmp_path / "shards", 3)
    everybody = Split(train=tuple(shard_set.speakers), validation=(), test=())
    run = make_run(tmp_path / "run", shard_set, everybody)
    found = calibrate_run(run, device="cpu")
    assert found.basis == "training speakers" and found.speakers == 9
    assert Calibration.load(run / "model" / "model.safetensors", "") == found


def test_one_validation_speaker_an_accent_is_paired_with_training_speakers(tmp_path):
    shard_set = synthetic(tmp_path / "shards")
    run = make_run(tmp_path / "run", shard_set, split_of(shard_set))
    found = calibrate_run(run, device="cpu")
    assert found.basis == "validation speakers" and found.speakers == 3
    assert 0 < found.levels[0].equal_error_rate < 1


def test_speakers_of_one_accent_are_refused(tmp_path):
    shard_set = synthetic(tmp_path / "shards", 3)
    run = make_run(tmp_path / "run", shard_set, Split(("A0", "H0", "S0"), ("A1", "A2"), ()))
    with pytest.raises(AccentError, match="share one accent"):
        calibrate_run(run, device="cpu")


def test_shards_of_other_speakers_are_refused(tmp_path):
    shard_set = synthetic(tmp_path / "shards", 3)
    run = make_run(tmp_path / "run", shard_set, split_of(shard_set))
    Split(("X0", "Y0"), ("Z0",), ()).save(run / "split.json")
    with pytest.raises(AccentError, match="no speaker of the run's split"):
        calibrate_run(run, device="cpu")


@pytest.fixture
def crossval(tmp_path):
    """Three folds of models with other weights each, as `accent crossval` would leave them."""
    shard_set = synthetic(tmp_path / "shards", 6)
    runs = plan_crossval("configs/l2arctic.yaml", shard_set.root, tmp_path / "crossval", FoldConfig("3"), [0, 1])
    for run in runs:
        make_run(run.folder, shard_set, Split.load(run.split), untrained(seed=run.number))
        (run.folder / PREDICTIONS).touch()
    return make_run(tmp_path / "run", shard_set, split_of(shard_set)), tmp_path / "crossval", runs


def test_speakers_of_a_cross_validation_are_measured_with_the_model_of_their_fold(crossval):
    run, output, folds = crossval
    found = calibrate_run(run, device="cpu", crossval=output)
    assert found.basis == "speakers of a cross-validation" and found.speakers == 18
    shard_set = ShardSet.open(run_shards(run))
    accents = {one.name: one.accent for one in shard_set.manifest.speakers}
    reader, told, same, different = ShardReader(shard_set), [], [], []
    for fold in folds[:3]:
        embedder = AccentEmbedder.load(fold.folder)
        heard = []
        for name in Split.load(fold.split).test:
            samples = np.flatnonzero(np.array(shard_set.speakers)[shard_set.index["speaker"]] == name)
            one_by_one = [embedder.predict_speaker([reader.frames(int(sample))]) for sample in samples]
            heard += [(name, one) for one in one_by_one]
            told += [-np.logaddexp.reduce(one.logits_A.astype(float)) for one in one_by_one]
        for row, (name, one) in enumerate(heard):
            for other_name, other in heard[row + 1 :]:
                if other_name != name:
                    pairs = same if accents[name] == accents[other_name] else different
                    pairs.append(float(one.embedding_E @ other.embedding_E))
    level = found.levels[0]
    assert level.recordings == 1
    assert level.unknown_above == pytest.approx(np.quantile(told, 0.9), abs=1e-4)
    assert (np.array(different) > level.same_above).mean() == pytest.approx(level.equal_error_rate, abs=0.02)
    assert (np.array(same) <= level.same_above).mean() == pytest.approx(level.equal_error_rate, abs=0.02)


def test_a_cross_validation_that_is_not_finished_or_of_another_model_is_refused(crossval):
    run, output, folds = crossval
    (folds[2].folder / PREDICTIONS).unlink()
    with pytest.raises(AccentError, match="fold 2, seed 0 is not finished"):
        calibrate_run(run, device="cpu", crossval=output)
    larger = dataclasses.replace(untrained().config, embedding_dim=8)
    make_run(folds[0].folder, ShardSet.open(run_shards(run)), Split.load(folds[0].split), EnhancedAccentEncoder(larger))
    with pytest.raises(AccentError, match="configured otherwise"):
        calibrate_run(run, device="cpu", crossval=output)


def test_the_level_of_the_nearest_amount_of_speech_counts():
    levels = tuple(Level(n, 4.0 * n, 1.0, 0.0, 0.1, 0.0, 0.3) for n in (1, 2, 4))
    calibration = Calibration("", "validation speakers", 2, levels)
    assert [calibration.level(seconds).recordings for seconds in (0.0, 1.0, 5.0, 6.0, 11.0, 12.0, 500.0)] == [
        1, 1, 1, 2, 2, 4, 4,
    ]  # fmt: skip


def test_a_damaged_calibration_is_one_line(saa_run, tmp_path):
    shutil.copytree(saa_run / "model", tmp_path / "model")
    (tmp_path / "model" / "calibration.json").write_text('{"format_version": 1, "levels": [{"recordings": 1}]}')
    with pytest.raises(AccentError, match="cannot be read"):
        Calibration.load(tmp_path / "model" / "model.safetensors", "accent calibrate RUN")
