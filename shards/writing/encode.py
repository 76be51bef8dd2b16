"""From one utterance to one packed sample: what a featurizer's worker process does.

Reads the sound, computes the features, casts them to float16 and measures the statistics of what is stored.  This
module and what it imports must not import torch.

Cost: that of the features, and for all the rest 0.5 to 0.8 ms a second of sound at 44.1 kHz.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from accent.audio.prepare import Speech, load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import Features, extract, prepare_backend
from accent.features.phones import has_phones
from accent.features.schema import N_COLUMNS
from accent.features.textgrid import Alignment, read_alignment
from accent.grid import FRAMES_PER_SECOND, SAMPLE_RATE
from accent.rounding import rounded
from shards.corpora.corpus import Utterance
from shards.corpora.names import escaped
from shards.shard_set.manifest import Refused
from shards.shard_set.statistics import Moments
from shards.writing.plan import relative, without_root
from shards.writing.sample import PackedSample, pack_sample, store_frames


@dataclass(frozen=True)
class Encoded:
    """A sample ready to be written."""

    sample: PackedSample
    moments: Moments
    """Of the stored values."""
    seconds: float
    """Length of the whole recording."""
    source: str
    """Sampling rate and format of the file."""
    remarks: tuple[str, ...] = ()
    """What is unusual about it, though it is used."""


def prepare(config: FeatureConfig) -> None:
    """Compile and load all that `encode` needs, so that processes started later find the kernels on disk."""
    prepare_backend(config)
    Moments.of(store_frames(np.zeros((1, N_COLUMNS), dtype=np.float32)))


def encode(utterance: Utterance, root: Path, config: FeatureConfig) -> Encoded | Refused:
    """Featurize one utterance.

    Args:
        utterance: the input.
        root: the corpus; paths are stored relative to it.
        config: preprocessing and features.

    Returns:
        The sample, or why the input cannot be used: whatever is raised on the way, foreseen or not, costs this input
        and no other.

    Raises:
        MemoryError: a fault of the machine, not of the input.
    """
    try:
        return _encode(utterance, root, config)
    except AccentError as error:
        reason = str(error).removeprefix(f"{utterance.path}: ")
        return Refused(relative(utterance.path, root), without_root(reason, root))
    except MemoryError:
        raise
    except Exception as error:
        reason = f"the features could not be computed ({type(error).__name__}: {' '.join(escaped(str(error)).split())})"
        return Refused(relative(utterance.path, root), without_root(reason, root))


def _encode(utterance: Utterance, root: Path, config: FeatureConfig) -> Encoded:
    speech = load_speech(utterance.path, config.audio)
    alignment, about_phones = _alignment(utterance, root)
    intervals = None if alignment is None else alignment.intervals
    features = extract(speech, config, intervals=intervals, sex=utterance.sex)
    stored_TD = store_frames(features.frames_TD)
    phones_T = None if features.phones_T is None else np.asarray(features.phones_T, dtype=np.int16)
    metadata = {**_metadata(utterance, root, speech, features), **about_phones}
    sample = pack_sample(utterance.key, stored_TD, metadata, phones_T)
    origin = speech.preprocessing["source"]
    return Encoded(
        sample,
        Moments.of(stored_TD),
        len(speech.unfiltered_N) / SAMPLE_RATE,
        f"{origin['rate_hz']} Hz {origin['format']}",
        _remarks(speech, about_phones),
    )


def _alignment(utterance: Utterance, root: Path) -> tuple[Alignment | None, dict[str, Any]]:
    """Return the phones, and what a sample's metadata say of them where something is unusual.

    A TextGrid that cannot be read, or is of a language without phones here, costs only the phones.
    """
    if utterance.textgrid is None:
        return None, {}
    if not has_phones(utterance.language):
        return None, {"phones_fault": f"its language is '{utterance.language}', and the phones are those of English"}
    try:
        alignment = read_alignment(utterance.textgrid)
    except AccentError as error:
        return None, {"phones_fault": without_root(str(error), root)}
    return alignment, {"unknown_phones": alignment.unknown} if alignment.unknown else {}


def _remarks(speech: Speech, about_phones: dict[str, Any]) -> tuple[str, ...]:
    source, mix_down = speech.preprocessing["source"], speech.preprocessing["mix_down"]
    told = {
        "its header does not give its length; read to the end": "length" in source,
        "its header promises a moment more than there is": "missing_samples" in source,
        "a channel without sound is left out of the mean": "channels_left_out" in mix_down,
        "its channels cancel each other; the loudest is used": "channels_cancel" in mix_down,
    }
    labels = [f"label '{label}' stands for no phone known here" for label in about_phones.get("unknown_phones", {})]
    fault = [f"{about_phones['phones_fault']}; kept without phones"] if "phones_fault" in about_phones else []
    return (*(remark for remark, holds in told.items() if holds), *labels, *fault)


def _metadata(utterance: Utterance, root: Path, speech: Speech, features: Features) -> dict[str, Any]:
    textgrid = utterance.textgrid
    return {
        "key": utterance.key,
        "speaker": utterance.speaker,
        "accent": utterance.accent,
        "corpus": utterance.corpus,
        "sex": utterance.sex,
        "split": utterance.split,
        "prompt": utterance.prompt,
        "text": utterance.text,
        "duration": speech.n_frames / FRAMES_PER_SECOND,
        "utterance": rounded(features.utterance),
        "preprocessing": rounded(speech.preprocessing),
        "kept_region": [
            speech.first_frame / FRAMES_PER_SECOND,
            (speech.first_frame + speech.n_frames) / FRAMES_PER_SECOND,
        ],
        "source": relative(utterance.path, root),
        "source_sha256": hashlib.sha256(utterance.path.read_bytes()).hexdigest(),
        "textgrid": None if textgrid is None else relative(textgrid, root),
        "extra": dict(sorted(utterance.extra.items())),
    }
