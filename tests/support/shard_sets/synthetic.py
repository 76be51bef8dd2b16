"""A real shard set of random features, made without sound: accents, speakers and prompts leave a trace in the values.

Every frame is noise around a mean that depends on its accent (the same direction for all its speakers), its speaker
(another direction each) and the time (slowly, by the prompt), so that a model can learn the accent and can also be
caught learning the speaker.  F0, formants and voice quality are NaN on whole stretches, as in real speech.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from accent.features.schema import N_COLUMNS, column_index, family_slices
from accent.grid import FRAMES_PER_SECOND
from shards.shard_set.manifest import ShardSet
from shards.shard_set.statistics import Moments
from shards.writing.merge import assemble
from shards.writing.sample import pack_sample, store_frames
from shards.writing.shard_record import Labels, ShardRecord, shard_name
from shards.writing.tar_writer import ShardWriter

SYNTHETIC_PHONES = ("sil", *(f"P{number}" for number in range(1, 40)), "spn")


def make_shard_set(
    folder: Path,
    speakers_by_accent: Mapping[str, Sequence[str]],
    utterances_per_speaker: int = 4,
    *,
    prompts: int | None = None,
    lengths: tuple[int, int] = (20, 60),
    seed: int = 0,
    accent_strength: float = 1.0,
    speaker_strength: float = 0.5,
    phones: bool | Collection[str] = False,
    phone_frames: int = 1,
    samples_per_shard: int = 64,
    utterances_of: Mapping[str, int] | None = None,
    text: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> ShardSet:
    """Write a shard set of random features.

    Args:
        folder: where to write it; made if need be.
        speakers_by_accent: for instance {"Hindi": ["h0", "h1"], "Spanish": ["s0", "s1"]}.
        utterances_per_speaker: how many each speaker has.
        prompts: how many different prompts there are; speakers read them in turn from the first.  Nothing: as many as
            a speaker has utterances.
        lengths: shortest and longest utterance in frames, drawn evenly, both possible.
        seed: same seed, same bytes.
        accent_strength: distance of the accents in standard deviations of the noise, for each column.
        speaker_strength: the same for the speakers of an accent.
        phones: store random phone ids too, of all speakers or of those named.
        phone_frames: how long each of them lasts.
        samples_per_shard: as in featurizing.
        utterances_of: another number of utterances for some speakers.
        text: transcript of every utterance.
        extra: what else a corpus says of every utterance.

    Returns:
        The opened shard set; keys are SPEAKER-uNNNN, prompts are pNNNN; a speaker is female where its position in its
        accent is even.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    scale_D = np.full(N_COLUMNS, 5.0)
    centre_D = np.zeros(N_COLUMNS)
    for column, centre, scale in (("f0_hz", 180.0, 25.0), ("f1_hz", 500.0, 60.0), ("f2_hz", 1500.0, 150.0)):
        centre_D[column_index(column)], scale_D[column_index(column)] = centre, scale
    plan = []
    for accent, speakers in sorted(speakers_by_accent.items()):
        accent_D = rng.standard_normal(N_COLUMNS) * accent_strength
        for place, speaker in enumerate(speakers):
            speaker_D = rng.standard_normal(N_COLUMNS) * speaker_strength
            count = (utterances_of or {}).get(speaker, utterances_per_speaker)
            for number in range(count):
                prompt = number % (prompts or max(count, 1))
                labels = Labels(speaker, accent, f"p{prompt:04d}", "synthetic", "male" if place % 2 else "female", None)
                plan.append((f"{speaker}-u{number:04d}", labels, accent_D + speaker_D, prompt))
    order = rng.permutation(len(plan))
    parts = []
    for number in range(-(-len(plan) // samples_per_shard)):
        packed, moments = [], dict[str, Moments]()
        chosen = [plan[at] for at in order[number * samples_per_shard : (number + 1) * samples_per_shard]]
        for key, labels, mean_D, prompt in chosen:
            n_frames = int(rng.integers(lengths[0], lengths[1] + 1))
            frames_TD = store_frames(_frames(rng, n_frames, centre_D, scale_D, mean_D, prompt))
            phones_T = None
            if phones is True or (phones and labels.speaker in phones):
                said = rng.integers(0, len(SYNTHETIC_PHONES), -(-n_frames // phone_frames))
                phones_T = np.repeat(said, phone_frames)[:n_frames].astype(np.int16)
            metadata = {
                "key": key,
                "speaker": labels.speaker,
                "accent": labels.accent,
                "corpus": labels.corpus,
                "sex": labels.sex,
                "prompt": labels.prompt,
                "text": text,
                "extra": dict(extra or {}),
                "duration": n_frames / FRAMES_PER_SECOND,
                "utterance": {},
            }
            packed.append(pack_sample(key, frames_TD, metadata, phones_T))
            mine = Moments.of(frames_TD)
            moments[labels.speaker] = moments[labels.speaker].merged(mine) if labels.speaker in moments else mine
        with ShardWriter(folder / shard_name(number)) as writer:
            for sample in packed:
                writer.add(sample)
            rows = writer.rows
            entry = writer.finish()
        parts.append(ShardRecord(number, entry, rows, tuple(one[1] for one in chosen), moments, ()))
    return assemble(
        folder,
        parts,
        corpus="synthetic",
        configuration={"features": {}, "seed": seed},
        features_fingerprint="synthetic",
        plan_fingerprint=f"synthetic {seed}",
        phones=SYNTHETIC_PHONES if phones else (),
    )


def _frames(
    rng: np.random.Generator,
    n_frames: int,
    centre_D: np.ndarray,
    scale_D: np.ndarray,
    mean_D: np.ndarray,
    prompt: int,
) -> np.ndarray:
    slow_T1 = 0.5 * np.sin(np.arange(n_frames) * (0.05 + 0.01 * prompt))[:, None]
    frames_TD = centre_D + scale_D * (mean_D + slow_T1 + rng.standard_normal((n_frames, N_COLUMNS)))
    frames_TD[:, column_index("f0_hz")] = np.clip(frames_TD[:, column_index("f0_hz")], 76, 590)
    families = family_slices()
    for columns, share in (([column_index("f0_hz")], 0.4), (families["formants"], 0.15), (families["voice"], 0.4)):
        start = int(rng.integers(0, max(1, int(n_frames * (1 - share)))))
        frames_TD[start : start + max(1, int(n_frames * share)), columns] = np.nan
    return frames_TD.astype(np.float32)
