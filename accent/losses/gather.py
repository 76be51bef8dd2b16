"""The only place that talks to other ranks.  Without `torch.distributed` started, everything here is one process.

`all_gather_with_gradient` is what makes N ranks train as one: a rank's keys receive gradient from the anchors of every
rank.  Forward is one all-gather, backward one reduce-scatter of the same size.  Every function here is a collective:
every rank must call it, with the same shapes, in the same order.

Shapes: B rows of this rank, N rows of all ranks (world size x B), in rank order.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Return the number of ranks; 1 without `torch.distributed`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return this process's rank; 0 without `torch.distributed`."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def all_gather(x_B: Tensor) -> Tensor:
    """Return the rows of all ranks, without gradient.

    Args:
        x_B: rows of this rank, `[B, ...]`; the same shape on every rank.

    Returns:
        `[N, ...]`, rank 0's rows first.
    """
    x_B = x_B.detach()
    if world_size() == 1:
        return x_B
    gathered_N = x_B.new_empty(world_size() * x_B.shape[0], *x_B.shape[1:])
    dist.all_gather_into_tensor(gathered_N, x_B.contiguous())
    return gathered_N


def all_gather_with_gradient(x_B: Tensor) -> Tensor:
    """Return the rows of all ranks; gradient flows back to the rank each row came from, summed over ranks.

    Args:
        x_B: rows of this rank, `[B, ...]`; the same shape on every rank.

    Returns:
        `[N, ...]`, rank 0's rows first.
    """
    return x_B if world_size() == 1 else _AllGather.apply(x_B)


def all_reduce_sum(x: Tensor) -> Tensor:
    """Return the sum over all ranks, without gradient; the argument is left as it was."""
    total = x.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total, op=dist.ReduceOp.SUM)
    return total


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_B: Tensor) -> Tensor:
        return all_gather(x_B)

    @staticmethod
    def backward(ctx: Any, gradient_N: Tensor) -> Tensor:
        return _reduce_scatter_sum(gradient_N.contiguous())


def _reduce_scatter_sum(x_N: Tensor) -> Tensor:
    rows = x_N.shape[0] // world_size()
    if _has_reduce_scatter(x_N.device):
        own_B = x_N.new_empty(rows, *x_N.shape[1:])
        dist.reduce_scatter_tensor(own_B, x_N, op=dist.ReduceOp.SUM)
        return own_B
    total_N = all_reduce_sum(x_N)
    return total_N[rank() * rows : (rank() + 1) * rows]


def _has_reduce_scatter(device: torch.device) -> bool:
    """Whether the backend that serves this kind of device can reduce and scatter; MPI's cannot."""
    served_by = dict(part.split(":") for part in str(dist.get_backend_config()).split(",") if ":" in part)
    return served_by.get(device.type, dist.get_backend()) in ("nccl", "gloo")
