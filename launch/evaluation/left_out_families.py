"""What leaving a feature family out costs: the model's answers with the family's fusion weight at zero.

The weights of the others grow, so that all sum to one again.  The model is not trained anew: a model that never had the
family might make up for it with the others, so the cost is what this model rests on, not what the family is worth.

Shapes: N recordings, S speakers, A accents, F families (views in the branch `phones`).  Cost: for the branch `frames` a
forward pass over the tested utterances for each family; for the branch `phones`, which keeps the sums, seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from accent.grouped import Grouped
from accent.metrics import (
    Estimate,
    RowGroups,
    classification,
    classification_over_seeds,
    confusion_by_speaker,
    difference,
)
from accent.model.build import AccentEncoder
from accent.model.phonetic.encoder import PhoneticEncoder
from launch.extraction.groups import EmbeddedSpeech, embed_speech
from launch.extraction.recordings import Recordings
from shards.loading.loader import EvaluationLoader


def measure_left_out(
    model: AccentEncoder, loader: EvaluationLoader, speech: EmbeddedSpeech, tested: Recordings, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Measure the accent head with each family left out.

    Args:
        model: the encoder; left as it came.
        loader: the tested utterances.
        speech: them, embedded with all families.
        tested: the same recordings, with their labels.
        seed: of the bootstrap.

    Returns:
        For each family "utterance" and "speaker" (all recordings heard): "balanced_accuracy" without it, and "cost",
        how far the balanced accuracy with all families lies above that.
    """
    names = list(model.fusion_weights())
    whole = _scored(speech, tested, len(model.config.accents), seed)
    found = {}
    for name in names if len(names) > 1 else []:
        with left_out(model, name):
            answers = _again(model, loader, speech, name)
            without = _scored(answers, tested, len(model.config.accents), seed)
        found[name] = {
            unit: {
                "balanced_accuracy": without[unit].to_mapping(),
                "cost": difference(whole[unit], without[unit]).to_mapping(),
            }
            for unit in whole
        }
    return found


@contextmanager
def left_out(model: AccentEncoder, name: str) -> Iterator[None]:
    """Set one family's fusion weight to zero for a while; the others share its part.

    Args:
        model: the encoder, which has at least two families.
        name: of the family, or view.
    """
    logits_F = model.embedding.fusion_logits_V if isinstance(model, PhoneticEncoder) else model.fusion.logits_F
    place = list(model.fusion_weights()).index(name)
    kept = logits_F.detach().clone()
    with torch.no_grad():
        logits_F[place] = -torch.inf
    try:
        yield
    finally:
        with torch.no_grad():
            logits_F.copy_(kept)


def _again(model: AccentEncoder, loader: EvaluationLoader, speech: EmbeddedSpeech, name: str) -> EmbeddedSpeech:
    """Embed the utterances with the weights as they are now."""
    if not isinstance(model, PhoneticEncoder):
        return embed_speech(model, loader, description=f"without {name}")
    found = speech.utterances
    embedding_NE, logits_NA = speech.embed_groups(RowGroups.singles(found.sample_N))
    return EmbeddedSpeech(replace(found, embedding_NE=embedding_NE, logits_NA=logits_NA), speech.embed_groups)


def _scored(speech: EmbeddedSpeech, tested: Recordings, n_accents: int, seed: int) -> dict[str, Estimate]:
    told_N = speech.utterances.logits_NA.argmax(1)
    utterances = classification(tested.accent_N, told_N, tested.speaker_N, n_accents, seed=seed)
    speaker_S, first_S, position_N = np.unique(tested.speaker_N, return_index=True, return_inverse=True)
    groups = list(Grouped(position_N, speech.utterances.sample_N).values())
    told_S = speech.embed_groups(groups).logits_GA.argmax(1)
    counts = confusion_by_speaker(tested.accent_N[first_S], told_S, speaker_S, n_accents)
    speakers = classification_over_seeds(counts[None], f"{len(speaker_S)} speakers", seed=seed)
    return {"utterance": utterances["balanced_accuracy"], "speaker": speakers["balanced_accuracy"]}
