"""What each process spends: time by part of a step, and memory.

Cost: one gather of a dozen numbers for each point of the curves; on a GPU, peak memory is a counter of the allocator
and makes nothing wait.

Shape legend: R processes, P parts of a step.
"""

from collections.abc import Mapping
from typing import NamedTuple

import psutil
import torch

from launch.runtime.agreement import Runtime

LEAST_RATIO = 1.1
"""How much longer than the fastest process the slowest must take for a part, so that the part is shown by process."""
LEAST_SECONDS = 1e-3
"""How much longer it must take in seconds: below, it is noise."""
_GIB = 2.0**30


class Spent(NamedTuple):
    """What all processes spent since the last point."""

    parts: tuple[str, ...]
    seconds_RP: torch.Tensor
    """Time of each part on each process."""
    memory_gib_R: torch.Tensor
    """Resident memory of each process, now."""
    gpu_gib_R: torch.Tensor
    """Peak memory of each process's GPU since its start, as torch's allocator gave it out; 0 on a CPU."""


def gather_spent(parts: Mapping[str, float], runtime: Runtime) -> Spent:
    """Bring together what every process spent; a collective.

    Args:
        parts: seconds of each part on this process; every process has the same parts, for it runs the same step.
        runtime: the processes.
    """
    names = tuple(sorted(parts))
    on_gpu = runtime.device.type == "cuda"
    gpu = torch.cuda.max_memory_allocated(runtime.device) / _GIB if on_gpu else 0.0
    own = [parts[name] for name in names] + [psutil.Process().memory_info().rss / _GIB, gpu]
    # float32, which every device knows; shares of a microsecond do not matter.
    all_RX = runtime.accelerator.gather(torch.tensor([own], dtype=torch.float32, device=runtime.device)).cpu()
    return Spent(names, all_RX[:, :-2], all_RX[:, -2], all_RX[:, -1])


def spent_curves(spent: Spent, steps: int) -> dict[str, float]:
    """Return the curves: time of each part on the first process, memory, and where processes differ.

    Args:
        spent: what all processes spent.
        steps: in how many steps.

    Returns:
        By curve, milliseconds a step and GiB.  `memory/` is that of the process that has most.  `ranks/` has, for a
        part that takes the slowest process notably longer than the fastest, both times and the number of the slowest.
    """
    curves = {f"time/{name}_ms": 1000 * float(spent.seconds_RP[0, at]) / steps for at, name in enumerate(spent.parts)}
    curves["memory/process_gib"] = float(spent.memory_gib_R.max())
    if spent.gpu_gib_R.any():
        curves["memory/gpu_peak_gib"] = float(spent.gpu_gib_R.max())
    for name, seconds_R in zip(spent.parts, spent.seconds_RP.T / steps, strict=True):
        fastest, slowest = float(seconds_R.min()), float(seconds_R.max())
        if slowest > LEAST_RATIO * fastest and slowest - fastest > LEAST_SECONDS:
            curves[f"ranks/{name}_ms_fastest"] = 1000 * fastest
            curves[f"ranks/{name}_ms_slowest"] = 1000 * slowest
            curves[f"ranks/{name}_slowest_rank"] = float(seconds_R.argmax())
    return curves
