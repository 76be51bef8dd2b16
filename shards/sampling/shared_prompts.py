"""Which prompts the speakers of an accent have in common, and who read what.

Two utterances of one prompt differ in the voice and the accent, and not in what was said: the best positives.
`shards.sampling.sampler` deals the prompts.  A prompt counts as shared by an accent if
at least two of its training speakers read it.  Where the text of an utterance is unknown, the index gives it a prompt
of its own (`shards.corpora.prompts`), which no other utterance shares.

Cost: O(N log N), once, and 16 bytes a sample.

Shape legend: N samples, S speakers, P pairs of an accent and a prompt read in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from accent.errors import AccentError


class Readings(NamedTuple):
    """What one speaker read: N samples, by prompt."""

    prompts_N: np.ndarray
    """Prompt numbers, ascending."""
    samples_N: np.ndarray
    """The sample of each; ascending within a prompt."""


@dataclass(frozen=True, eq=False)
class SharedPrompts:
    """Prompts by accent, and what was read by speaker."""

    prompts: dict[int, np.ndarray]
    """Accent number -> numbers of the prompts that at least two of its speakers read, ascending; at least one."""
    readings: dict[int, Readings]
    """Speaker number -> everything it read."""


def find_shared_prompts(
    numbers_N: np.ndarray,
    accent_N: np.ndarray,
    speaker_N: np.ndarray,
    prompt_N: np.ndarray,
    accent_names: Sequence[str],
) -> SharedPrompts:
    """Find the prompts that at least two speakers of an accent read.

    Args:
        numbers_N: integers [N], the sample numbers to draw from, each once.
        accent_N: integers [N], the accent number of each.
        speaker_N: integers [N], the speaker number of each; a speaker has one accent.
        prompt_N: integers [N], the prompt number of each.
        accent_names: what messages call the accents, by number.

    Returns:
        The shared prompts of each accent, and the readings of each speaker.

    Raises:
        AccentError: an accent without a shared prompt: the same prompts cannot be asked of its speakers.
    """
    order = np.lexsort((numbers_N, prompt_N, speaker_N))
    samples_N, accents_N, speakers_N, prompts_N = (
        np.asarray(column, np.int64)[order] for column in (numbers_N, accent_N, speaker_N, prompt_N)
    )
    # One of each speaker's readings of a prompt, so that what is counted is speakers.
    another_N = np.ones(len(order), bool)
    another_N[1:] = (np.diff(speakers_N) != 0) | (np.diff(prompts_N) != 0)
    pairs_P2, speakers_P = np.unique(np.stack([accents_N, prompts_N], axis=1)[another_N], axis=0, return_counts=True)
    shared_P2 = pairs_P2[speakers_P >= 2]
    prompts = {int(accent): shared_P2[shared_P2[:, 0] == accent, 1] for accent in np.unique(accents_N)}
    alone = [accent_names[accent] for accent, found in prompts.items() if len(found) == 0]
    if alone:
        raise AccentError(
            f"batch.same_prompts: no two training speakers of {', '.join(alone)} read the same prompt; set it to "
            "false, or train on two speakers of each accent who read a common prompt"
        )
    speakers_S, starts_S = np.unique(speakers_N, return_index=True)
    readings = {
        int(speaker): Readings(*columns)
        for speaker, *columns in zip(
            speakers_S, np.split(prompts_N, starts_S[1:]), np.split(samples_N, starts_S[1:]), strict=True
        )
    }
    return SharedPrompts(prompts, readings)
