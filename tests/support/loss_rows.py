"""Rows and encoder outputs to compute losses of, and the pair rules written out.

Shapes: N rows, E embedding, T frames, D columns.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from accent.losses.pairs import LabelledEmbeddings, PairRule, pair_masks
from accent.model import EncoderOutput

RULES = [PairRule(*values) for values in itertools.product(("any", "other_speaker"), (False, True))]


def random_rows(
    count: int, accents: int = 3, speakers: int = 6, invalid: int = 2, seed: int = 0, dimensions: int = 5
) -> LabelledEmbeddings:
    """Unit vectors in float64 with labels: the speaker fixes the accent, there are two prompts, some are invalid."""
    generator = torch.Generator().manual_seed(seed)
    speaker_N = torch.randint(speakers, (count,), generator=generator)
    valid_N = torch.ones(count, dtype=torch.bool)
    valid_N[torch.randperm(count, generator=generator)[:invalid]] = False
    embedding_NE = F.normalize(torch.randn(count, dimensions, generator=generator, dtype=torch.float64), dim=1)
    prompt_N = torch.randint(2, (count,), generator=generator)
    return LabelledEmbeddings(embedding_NE, speaker_N % accents, speaker_N, prompt_N, torch.arange(count), valid_N)


def some(rows: LabelledEmbeddings, part: slice) -> LabelledEmbeddings:
    """Some of the rows."""
    return LabelledEmbeddings(*(values[part] for values in rows))


def random_output(rows: int, seed: int = 0, frames: int = 6, dtype: torch.dtype = torch.float64) -> EncoderOutput:
    """What an encoder of two families (two columns, one column) might return."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype)

    return EncoderOutput(
        embedding_BE=F.normalize(noise(rows, 5), dim=1).requires_grad_(),
        accent_logits_BA=noise(rows, 3).requires_grad_(),
        reconstruction_BTD=noise(rows, frames, 3).requires_grad_(),
        target_BTD=noise(rows, frames, 3),
        target_mask_BTD=torch.rand(rows, frames, 3, generator=generator) < 0.7,
        fusion_weights_F=torch.tensor([0.5, 0.5], dtype=dtype),
        family_D=torch.tensor([0, 0, 1]),
    )


def positives_of(rows: LabelledEmbeddings, i: int, rule: PairRule) -> list[int]:
    """The rows that attract row i, by the rule read aloud."""
    return [
        j
        for j in _others(rows, i)
        if rows.accent_N[j] == rows.accent_N[i]
        and (rule.positives == "any" or rows.speaker_N[j] != rows.speaker_N[i])
        and (not rule.same_prompt or rows.prompt_N[j] == rows.prompt_N[i])
    ]


def negatives_of(rows: LabelledEmbeddings, i: int) -> list[int]:
    """The rows that repel row i."""
    return [j for j in _others(rows, i) if rows.accent_N[j] != rows.accent_N[i]]


def _others(rows: LabelledEmbeddings, i: int) -> list[int]:
    return [j for j in range(len(rows.valid_N)) if j != i and rows.valid_N[i] and rows.valid_N[j]]


def full_matrix(rule: PairRule, anchors: LabelledEmbeddings, keys: LabelledEmbeddings, temperature: Tensor) -> Tensor:
    """The mean contrastive loss as it is usually written: tables of all comparisons, kept for backward."""
    positive_BN, negative_BN = pair_masks(anchors, keys, rule)
    logits_BN = anchors.embedding_NE @ keys.embedding_NE.T / temperature
    normaliser_B = logits_BN.masked_fill(~(positive_BN | negative_BN), -torch.inf).logsumexp(dim=1)
    return (normaliser_B - (logits_BN * positive_BN).sum(dim=1) / positive_BN.sum(dim=1)).mean()
