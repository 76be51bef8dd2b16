"""Which prompts the speakers of an accent have in common, and who read what.

Two utterances of one prompt differ in the voice and the accent, and not in what was said: the best positives.
`shards.sampling.sampler` deals the prompts.  A prompt counts as shared by an accent if
at least two of its training speakers read it.  Where the text of an utterance is unknown, the index gives it a prompt
of its own (`shards.corpora.prompts`), which no other utterance shares.

Cost: O(N), once, and 8 bytes a sample; two views for each speaker.

Shape legend: N samples, P pairs of an accent and a prompt read in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from accent.errors import AccentError
from accent.grouped import Grouped, compact, stable_order


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
    """Speaker number -> everything it read: views of two arrays."""


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
    # Speaker by speaker, of each the prompts, of each the samples.
    by_number = np.argsort(numbers_N, kind="stable")
    by_prompt = by_number[stable_order(np.asarray(prompt_N, np.int64)[by_number])]
    order_N = by_prompt[stable_order(np.asarray(speaker_N, np.int64)[by_prompt])]
    samples_N, accents_N, speakers_N, prompts_N = (
        compact(np.asarray(column)[order_N]) for column in (numbers_N, accent_N, speaker_N, prompt_N)
    )
    # One of each speaker's readings of a prompt, so that what is counted is speakers.
    another_N = np.ones(len(order_N), bool)
    another_N[1:] = (speakers_N[1:] != speakers_N[:-1]) | (prompts_N[1:] != prompts_N[:-1])
    n_prompts = int(prompts_N.max(initial=0)) + 1
    pair_P = accents_N[another_N] * np.int64(n_prompts) + prompts_N[another_N]
    pair_P = pair_P[stable_order(pair_P)]
    # A pair that stands at two neighbouring places was read by two speakers.
    repeated_P = pair_P[1:][pair_P[1:] == pair_P[:-1]]
    shared_P = repeated_P[np.append(True, repeated_P[1:] != repeated_P[:-1])] if len(repeated_P) else repeated_P
    found = Grouped(shared_P // n_prompts, shared_P % n_prompts)
    prompts = {accent: found.get(accent, np.empty(0, np.int32)) for accent in np.unique(accents_N).tolist()}
    alone = [accent_names[accent] for accent, found in prompts.items() if len(found) == 0]
    if alone:
        raise AccentError(
            f"batch.same_prompts: no two training speakers of {', '.join(alone)} read the same prompt; set it to "
            "false, or train on two speakers of each accent who read a common prompt"
        )
    samples, prompts_read = Grouped(speakers_N, samples_N), Grouped(speakers_N, prompts_N)
    readings = {speaker: Readings(prompts_read[speaker], samples[speaker]) for speaker in samples}
    return SharedPrompts(prompts, readings)
