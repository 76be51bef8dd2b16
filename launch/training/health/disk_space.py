"""Does a checkpoint fit on the disk?  Asked before hours are spent.

Quotas of a user are not seen: a file system that has room may still refuse.  Cost: one system call.
"""

import shutil
from pathlib import Path

from torch import nn

from accent.errors import AccentError
from launch.run_config import CheckpointConfig
from launch.training.saved_state import complete_checkpoints

_MOMENTS = 2
"""Numbers that AdamW keeps of each one that it trains."""


def checkpoint_bytes(module: nn.Module) -> int:
    """Return about how large a checkpoint of a module is; under ZeRO, about that for all processes together.

    >>> checkpoint_bytes(nn.Linear(10, 10, bias=False))
    1200
    """
    held = [*module.parameters(), *module.buffers()]
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    return sum(tensor.numel() * tensor.element_size() for tensor in held) + 4 * _MOMENTS * trained


def check_space(run: Path, module: nn.Module, checkpoints: CheckpointConfig) -> list[str]:
    """Compare what a run will write with what its file system has left.

    Args:
        run: the run's folder; it exists.
        module: the training module.
        checkpoints: how many are kept.

    Returns:
        Lines to print; empty if there is room.

    Raises:
        AccentError: not even one checkpoint fits.
    """
    one, free = checkpoint_bytes(module), shutil.disk_usage(run).free
    if free < one:
        raise AccentError(
            f"{run}: a checkpoint takes {_shown(one)}, and {_shown(free)} are free there; free space, or give another "
            "folder: run=..."
        )
    # One more than are kept: the old one goes when the new one is whole.
    kept = checkpoints.keep_last + checkpoints.keep_best + 1
    missing = max(0, kept - len(complete_checkpoints(run / "checkpoints")))
    if free < missing * one:
        return [
            f"warning: {run}: {missing} more checkpoints of {_shown(one)} are to be kept, and {_shown(free)} are free "
            "there; free space, or lower checkpoints.keep_last or keep_best"
        ]
    return []


def _shown(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.2f} MB"
