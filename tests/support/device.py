"""What a benchmark needs to know of the device it runs on: name, memory at the peak, the fastest it could be."""

from collections.abc import Mapping
from pathlib import Path

import torch

from launch.runtime.precision import Precision

_HOPPER = {"no": 67e12, "bf16": 989e12, "fp16": 989e12}
_AMPERE = {"no": 19.5e12, "bf16": 312e12, "fp16": 312e12}
PEAK_FLOPS: Mapping[str, Mapping[str, float]] = {
    "NVIDIA H200": _HOPPER,
    "NVIDIA H100 80GB HBM3": _HOPPER,
    "NVIDIA H100 PCIe": {"no": 51e12, "bf16": 756e12, "fp16": 756e12},
    "NVIDIA A100-SXM4-40GB": _AMPERE,
    "NVIDIA A100-SXM4-80GB": _AMPERE,
    "NVIDIA A100-PCIE-40GB": _AMPERE,
    "NVIDIA A100 80GB PCIe": _AMPERE,
}
"""Floating-point operations a second at most, by `torch.cuda.get_device_name` and precision: float32 without tensor
cores, the others with them, both for dense matrices (half of what is advertised "with sparsity").

Source: NVIDIA's data sheets "H200 Tensor Core GPU", "H100 Tensor Core GPU", "A100 Tensor Core GPU"."""


def peak_flops(name: str, precision: Precision) -> float | None:
    """Return the most operations a second that a device of this name can do; None if its data sheet is not here."""
    return PEAK_FLOPS[name][precision] if name in PEAK_FLOPS else None


def device_name(device: torch.device) -> str:
    """Return the name of a GPU, or of the processor with the number of threads that torch uses."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = Path("/proc/cpuinfo").read_text().splitlines()
    models = [fact.split(":")[1].strip() for fact in facts if fact.startswith("model name")]
    threads = torch.get_num_threads()
    return f"{models[0] if models else 'an unknown processor'}, {threads} thread{'s' if threads > 1 else ''}"


def synchronize(device: torch.device) -> None:
    """Wait for a GPU to finish what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def forget_peak(device: torch.device) -> None:
    """Let the memory's peak begin anew from what is held now.

    For a process on a CPU this is a service of Linux (proc(5): 5 written to `clear_refs`).
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes(device: torch.device) -> int:
    """Return the most memory held since `forget_peak`: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts["VmHWM"].split()[0]) * 1024


def out_of_memory(error: RuntimeError) -> bool:
    """Say whether this is what torch raises when a GPU or the host has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
