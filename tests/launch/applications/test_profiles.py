"""What is measured of a model's accents on real speech, measured again by other means."""

import itertools
import shutil

import numpy as np
import pytest

import accent as accent_package
from accent.errors import AccentError
from accent.inference.embedder import AccentEmbedder
from accent.inference.profiles import PROFILES_NAME, AccentProfiles
from accent.inference.voice import voice_vector
from shards.shard_set.manifest import ShardSet
from shards.shard_set.reader import ShardReader
from shards.splits.split import Split


def recordings_of(shards, speaker):
    """The features of a speaker's recordings."""
    shard_set = ShardSet.open(shards)
    numbers = np.flatnonzero(shard_set.index["speaker"] == shard_set.speakers.index(speaker))
    return [ShardReader(shard_set).frames(int(number)) for number in numbers]


@pytest.mark.parametrize("fixture, halves", [("saa_run", [None]), ("saa_phones_run", [0, 1])])
def test_an_accent_lies_at_the_mean_of_its_training_speakers(fixture, halves, saa_shards, request):
    run = request.getfixturevalue(fixture)
    profiles = accent_package.load(run).profiles
    embedder = AccentEmbedder.load(run)
    accent_of = {one.name: one.accent for one in ShardSet.open(saa_shards).manifest.speakers}
    for at, accent in enumerate(profiles.accents):
        mine = [name for name in Split.load(run / "split.json").train if accent_of[name] == accent]
        # A training speaker is read by the phone head that never heard them: which one, the test need not know.
        embedded = [
            [embedder.predict_speaker(recordings_of(saa_shards, name), half=half).embedding_E for half in halves]
            for name in mine
        ]
        means = [sum(chosen) for chosen in itertools.product(*embedded)]
        cosines = [mean_E @ profiles.embedding_AE[at] / np.linalg.norm(mean_E) for mean_E in means]
        assert len(mine) == 2 and max(cosines) > 0.9999
    np.testing.assert_allclose(np.linalg.norm(profiles.embedding_AE, axis=1), 1, rtol=1e-5)
    assert (profiles.realisations is None) == (fixture == "saa_run")


def test_the_threshold_of_voices_accepts_as_many_strangers_as_it_rejects_friends(saa_run, saa_shards):
    profiles = accent_package.load(saa_run).profiles
    voices, owners = [], []
    for name in Split.load(saa_run / "split.json").train:
        for frames_TD in recordings_of(saa_shards, name):
            voices.append(voice_vector(frames_TD))
            owners.append(name)
    wrong = {True: [], False: []}
    for one in range(len(voices)):
        for other in range(one):
            same = owners[one] == owners[other]
            wrong[same].append(
                (profiles.voices.similarity(voices[one], voices[other]) > profiles.voices.same_above) != same
            )
    rates = [np.mean(wrong[same]) for same in (True, False)]
    assert rates[0] == pytest.approx(rates[1], abs=0.03)
    assert np.mean(rates) == pytest.approx(profiles.voices.equal_error_rate, abs=0.01) and np.mean(rates) < 0.2


def test_a_phone_of_an_accent_is_nearer_to_the_realisation_of_that_accent(saa_phones_run, saa, saa_shards):
    model = accent_package.load(saa_phones_run)
    accent_of = {one.name: one.accent for one in ShardSet.open(saa_shards).manifest.speakers}
    nearer = []
    for name in Split.load(saa_phones_run / "split.json").train:
        path = saa / name / "wav" / "arctic_a0001.wav"
        textgrid = saa / name / "textgrid" / "arctic_a0001.TextGrid"
        distances = {accent: model.score(path, textgrid, target=accent).distance for accent in model.accents}
        nearer.append(min(distances, key=distances.get) == accent_of[name])
        assert 0.5 < distances[accent_of[name]] < 2
    # Speakers who were measured themselves: what unseen ones give is told in the room's README.
    assert np.mean(nearer) > 0.8


def test_profiles_come_back_as_they_were_and_are_refused_for_other_weights(saa_phones_run, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(saa_phones_run / "model", folder)
    weights = folder / "model.safetensors"
    found = AccentProfiles.load(weights, "HOW")
    (folder / PROFILES_NAME).unlink()
    with pytest.raises(AccentError, match="were not measured; measure them: HOW"):
        AccentProfiles.load(weights, "HOW")
    found.save(folder)
    again = AccentProfiles.load(weights, "HOW")
    assert again.accents == found.accents and again.voices.same_above == found.voices.same_above
    np.testing.assert_array_equal(again.realisations.mean_AUV, found.realisations.mean_AUV)
    np.testing.assert_array_equal(again.embedding_AE, found.embedding_AE)
    (folder / PROFILES_NAME).write_bytes((folder / PROFILES_NAME).read_bytes()[:100])
    with pytest.raises(AccentError, match="cannot be read"):
        AccentProfiles.load(weights, "HOW")
    found.save(folder)
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    with pytest.raises(AccentError, match="measured on other weights"):
        AccentProfiles.load(weights, "HOW")
