"""A trained encoder's answer to groups of utterances.

Shapes: N utterances, E embedding, A accents.  Cost: one forward pass an utterance.
"""

from collections.abc import Sequence

import numpy as np

from accent.metrics.calibration import fit_temperature
from accent.metrics.groups import EmbedGroups, GroupOutput
from accent.model.build import AccentEncoder
from launch.evaluation.utterances import Utterances
from launch.extraction.groups import embed_speech
from shards.loading.loader import EvaluationLoader


def encoder_groups(
    model: AccentEncoder, utterances: Utterances, tested: np.ndarray, validation: np.ndarray
) -> EmbedGroups:
    """Answer groups of the tested utterances with an encoder.

    Groups are embedded as `launch.extraction.groups` says; none of the utterances may have trained the encoder.

    Args:
        model: the encoder.
        utterances: where the utterances are.
        tested: the utterances that will be asked about.
        validation: those of the validation speakers, who calibrate single utterances and whole speakers; none leaves
            the logits as they are.

    Returns:
        A function of groups of tested utterances.
    """
    numbers = np.union1d(tested, validation)
    loader = EvaluationLoader(utterances.shard_set, sorted(set(utterances.speaker_N[numbers])))
    speech = embed_speech(model, loader)
    order = [list(model.config.accents).index(accent) for accent in utterances.accents]

    def answer(groups: Sequence[np.ndarray]) -> GroupOutput:
        embedding_GE, logits_GA = speech.embed_groups(groups)
        return GroupOutput(embedding_GE, logits_GA[:, order])

    temperature_of_one, temperature_of_many = 1.0, 1.0
    if len(validation):
        singles, wholes = list(validation[:, None]), utterances.wholes(validation)
        temperature_of_one = fit_temperature(answer(singles).logits_GA, utterances.accent_N[validation])
        first = np.array([rows[0] for rows in wholes])
        temperature_of_many = fit_temperature(answer(wholes).logits_GA, utterances.accent_N[first])

    def calibrated(groups: Sequence[np.ndarray]) -> GroupOutput:
        embedding_GE, logits_GA = answer(groups)
        single_G = np.array([len(rows) == 1 for rows in groups])
        return GroupOutput(
            embedding_GE, logits_GA / np.where(single_G, temperature_of_one, temperature_of_many)[:, None]
        )

    return calibrated
