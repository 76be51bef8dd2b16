"""Measure what the accents of a model are like: where they lie, how they say each phone, and what voices differ by.

Training speakers are measured: they are many, and nothing here tells how good the model is.  The phone heads are
crossed as in calibration.  How phones are realised is read from the alignments of the shards, and each recording is
taken for a speaker of its own, as a recording is when it is scored.

Shapes: A accents, E embedding, N phones or recordings, V values.  Cost: features are read of at most `MOST_RECORDINGS`
recordings; at most sixty speakers are embedded.
"""

import numpy as np
import torch
from sklearn.covariance import LedoitWolf

from accent.inference.embedder import AccentEmbedder
from accent.inference.profiles import AccentProfiles
from accent.inference.realisations import PhoneRealisations, measure_realisations, values_of_phone
from accent.inference.voice import VoiceScale, voice_vector, whitened
from accent.metrics.detection import equal_error_point
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.inventory import SILENCE_NUMBER, Inventory, segments
from accent.model.phonetic.measure import choose_utterances
from launch.extraction.terminal import track_on_terminal
from shards.shard_set.manifest import ShardSet, SpeakerEntry
from shards.shard_set.reader import ShardReader
from shards.shard_set.select import select_samples

MOST_RECORDINGS = 2_000
"""Measured for phones and voices at most; of more, each speaker gives equally many."""
RECORDINGS_OF_A_SPEAKER = 16
"""That are embedded together at most."""


def measure_profiles(
    embedder: AccentEmbedder,
    weights_sha256: str,
    shard_set: ShardSet,
    embedded: list[SpeakerEntry],
    everybody: list[SpeakerEntry],
    half_S: torch.Tensor | None,
) -> AccentProfiles:
    """Measure the accents of a model.

    Args:
        embedder: the model.
        weights_sha256: of its weights file.
        shard_set: where the speakers are.
        embedded: speakers whose embeddings say where their accents lie.
        everybody: speakers whose phones and voices are measured.
        half_S: which half of the training speakers each speaker of the shard set is of; None: nobody trained heads.

    Returns:
        The profiles; an accent without a speaker here has an embedding of zeros.
    """
    reader = ShardReader(shard_set)
    accents = {one.name: embedder.accents.index(one.accent) for one in everybody}
    sample_N = select_samples(shard_set, accents)
    sample_N = sample_N[choose_utterances(shard_set.index["speaker"][sample_N], MOST_RECORDINGS)]
    accent_N = np.array([accents[shard_set.speakers[at]] for at in shard_set.index["speaker"][sample_N]])
    return AccentProfiles(
        weights_sha256,
        embedder.accents,
        _embeddings(embedder, reader, embedded, half_S),
        _voices(reader, sample_N),
        _realisations(embedder, reader, sample_N, accent_N),
    )


def _embeddings(
    embedder: AccentEmbedder, reader: ShardReader, speakers: list[SpeakerEntry], half_S: torch.Tensor | None
) -> np.ndarray:
    """Return the mean embedding of each accent's speakers, float32 [A, E] of unit length."""
    total_AE = np.zeros((len(embedder.accents), embedder.model.config.embedding_dim))
    for one in track_on_terminal(speakers, "accents"):
        sample_N = select_samples(reader.shard_set, [one.name])
        chosen_N = sample_N[np.linspace(0, len(sample_N) - 1, min(len(sample_N), RECORDINGS_OF_A_SPEAKER)).astype(int)]
        half = None if half_S is None else int(half_S[reader.shard_set.index["speaker"][sample_N[0]]])
        prediction = embedder.predict_speaker([reader.frames(int(sample)) for sample in chosen_N], half=half)
        total_AE[embedder.accents.index(one.accent)] += prediction.embedding_E
    return (total_AE / np.maximum(np.linalg.norm(total_AE, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _voices(reader: ShardReader, sample_N: np.ndarray) -> VoiceScale:
    voice_NV = np.stack([voice_vector(reader.frames(int(sample))) for sample in sample_N])
    speaker_N = reader.shard_set.index["speaker"][sample_N]
    mean_V = voice_NV.mean(0)
    centre_NV = np.stack([voice_NV[speaker_N == speaker].mean(0) for speaker in speaker_N])
    within_NV = voice_NV - centre_NV
    if not within_NV.any():
        # One recording a speaker: how a speaker varies is not known, how speakers vary is.
        within_NV = voice_NV - mean_V
    # Values of very different sizes: shrinking the covariance needs them on one scale.
    spread_V = np.maximum(within_NV.std(0), 1e-6)
    covariance_VV = LedoitWolf(assume_centered=True).fit(within_NV / spread_V).covariance_
    whitening_VV = np.linalg.cholesky(np.linalg.inv(covariance_VV)) / spread_V[:, None]
    unit_NV = whitened(voice_NV, mean_V, whitening_VV)
    pair = np.triu_indices(len(unit_NV), k=1)
    same_n = (speaker_N[:, None] == speaker_N)[pair]
    if not same_n.any() or same_n.all():
        # One recording a speaker, or one speaker: no threshold can be measured, and no pair is accepted.
        return VoiceScale(mean_V, whitening_VV, 1.0, 0.5)
    point = equal_error_point((unit_NV @ unit_NV.T)[pair], same_n)
    error = (point.false_acceptance + point.false_rejection) / 2
    return VoiceScale(mean_V, whitening_VV, point.threshold, error)


def _realisations(
    embedder: AccentEmbedder, reader: ShardReader, sample_N: np.ndarray, accent_N: np.ndarray
) -> PhoneRealisations | None:
    if not isinstance(embedder.model, PhoneticEncoder):
        return None
    inventory = embedder.model.recogniser.inventory
    heard = [
        (accent, unit, value_V)
        for sample, accent in zip(track_on_terminal(sample_N.tolist(), "phones"), accent_N, strict=True)
        for unit, value_V in _phones(embedder, reader, sample, inventory)
    ]
    if not heard:
        return None
    accent_n, unit_n, value_nV = (np.array(part) for part in zip(*heard, strict=True))
    return measure_realisations(accent_n, unit_n, value_nV, len(embedder.accents), len(inventory))


def _phones(
    embedder: AccentEmbedder, reader: ShardReader, sample: int, inventory: Inventory
) -> list[tuple[int, np.ndarray]]:
    """Return unit and values of each phone of a recording; none where it has no alignment."""
    phones_T = reader.phones(sample)
    if phones_T is None:
        return []
    column_TC = embedder.relative_columns(reader.frames(sample))
    found = segments(phones_T)
    return [
        (int(unit), values_of_phone(column_TC, int(start), int(start + length)))
        for unit, phone, start, length in zip(inventory.units(found), *found, strict=True)
        if phone != SILENCE_NUMBER and unit >= 0
    ]
