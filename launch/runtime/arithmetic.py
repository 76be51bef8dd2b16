"""How exactly torch computes: algorithms whose result depends on chance, and float32 products rounded to TF32.

Both are switches of the whole process, so they hold for a run and are put back afterwards.  Neither changes anything on
a CPU that computes without them.  Cost: none; deterministic algorithms may be slower on a GPU, TF32 is faster there.

Source: PyTorch's notes "Reproducibility" and "CUDA semantics: TensorFloat-32".
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from accent.errors import AccentError
from launch.run_config import TrainingConfig

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
"""Variable without which cuBLAS may add up in another order from call to call."""
WORKSPACES = (":4096:8", ":16:8")
"""Its values that rule this out."""


@contextmanager
def arithmetic(training: TrainingConfig, device: torch.device) -> Iterator[None]:
    """Compute as a run asks for.

    Args:
        training: its `deterministic` and `tf32`.
        device: of the run.

    Raises:
        AccentError: what a deterministic run needs on a GPU is missing.
    """
    if training.deterministic and device.type == "cuda":
        if os.environ.get(WORKSPACE) not in WORKSPACES:
            raise AccentError(
                f"deterministic: true needs the variable {WORKSPACE} on a GPU, set before the start: "
                f"export {WORKSPACE}={WORKSPACES[0]}"
            )
        if training.losses.ctc:
            raise AccentError(
                "deterministic: true does not go with losses.ctc on a GPU, where torch has no deterministic CTC; "
                "take device=cpu or deterministic=false"
            )
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        (cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32),
    )
    torch.use_deterministic_algorithms(training.deterministic)
    cudnn.deterministic = training.deterministic
    cudnn.benchmark = cudnn.benchmark and not training.deterministic
    cudnn.allow_tf32 = products.allow_tf32 = training.tf32
    try:
        yield
    finally:
        enabled, warn_only, flags = before
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32, products.allow_tf32 = flags


def is_deterministic() -> bool:
    """Return whether this process takes deterministic algorithms only."""
    return torch.are_deterministic_algorithms_enabled() and torch.backends.cudnn.deterministic


def rounds_to_tf32() -> bool:
    """Return whether a GPU may round the factors of float32 products and convolutions to TF32."""
    return torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
