"""Are the copies of the model still equal?  They get equal gradients; a faulty GPU or memory makes them differ, unseen.

Each process sums its weights up as whole numbers, which is exact and the same on every device; the two checksums ride
on the agreement of the step (`launch.training.agreed`).

Cost: two passes over the weights each time, with 12 bytes of memory for each number of the largest tensor.
"""

from collections import Counter

import torch
from accelerate.utils import gather_object
from torch import nn

from launch.runtime.agreement import AllRanksError, Runtime
from launch.runtime.missing_ranks import process_name

BITS = 24
"""Of each number that is sent: as many as a float32 holds exactly."""
NUMBERS = 4
"""How many are sent of each process."""
_MASK = (1 << BITS) - 1
_LARGEST_FACTOR = 65_521
"""Factors by place in the second sum, so that two numbers that change places are noticed."""


class UnequalReplicasError(AllRanksError):
    """A process has other weights than the others: no fault of the user's."""


@torch.no_grad()
def checksum(module: nn.Module) -> torch.Tensor:
    """Return four whole numbers below 2^24 that tell the weights of a module, on its device.

    >>> equal = nn.Linear(2, 2)
    >>> bool((checksum(equal) == checksum(equal)).all())
    True
    """
    sums = []
    for parameter in module.parameters():
        bits = parameter.detach().reshape(-1).contiguous().view(torch.int32).long()
        factors = torch.arange(len(bits), device=bits.device) % _LARGEST_FACTOR + 1
        sums.append(torch.stack([bits.sum(), (bits * factors).sum()]))
    order = torch.arange(1, len(sums) + 1, device=sums[0].device).unsqueeze(1)
    plain, weighted = (torch.stack(sums) * order).sum(0)
    return torch.stack([plain & _MASK, (plain >> BITS) & _MASK, weighted & _MASK, (weighted >> BITS) & _MASK])


def differs(highest: list[float]) -> bool:
    """Tell whether processes differ, from the highest of each number of `checksum` and of its negatives."""
    return any(high != -low for high, low in zip(highest[:NUMBERS], highest[NUMBERS:], strict=True))


def name_unequal(own: torch.Tensor, runtime: Runtime, step: int, last_equal: int | None) -> UnequalReplicasError:
    """Return the error that names the processes in the minority; a collective, only once they differ.

    Args:
        own: `checksum` of this process.
        runtime: the processes.
        step: steps done.
        last_equal: the last step after which they were compared and equal in this start; None: never.
    """
    everywhere = [tuple(numbers) for numbers in gather_object([own.tolist()])]
    # Of equally many, those of the first process count as the usual ones: its weights are those that are saved.
    usual, _ = max(Counter(everywhere).items(), key=lambda entry: (entry[1], entry[0] == everywhere[0]))
    odd = [process_name(rank) for rank, numbers in enumerate(everywhere) if numbers != usual]
    known = "they had not been compared before" if last_equal is None else f"they were equal after step {last_equal}"
    return UnequalReplicasError(
        f"after step {step}: {', '.join(odd)} {'has' if len(odd) == 1 else 'have'} other weights than the other "
        f"processes ({known}); its GPU or its memory may be faulty: leave that machine out, and rerun the same command "
        "to resume from the newest checkpoint"
    )
