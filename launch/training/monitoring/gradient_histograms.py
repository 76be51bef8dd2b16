"""How gradients are distributed, block by block of the model.

A block is a layer, a family's encoder, or another part of the encoder by itself.  Bins are counted where the gradients
lie, so that a few dozen numbers a block leave the device.  Cost: two passes over the gradients each time.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.tensorboard import SummaryWriter

BINS = 60


def block_of(module: nn.Module, parameter: str) -> str:
    """Return the block that a parameter belongs to.

    Args:
        module: the training module.
        parameter: its name in `named_parameters`.

    Returns:
        The path of the outermost layer of a list (or entry of a table) around it; where there is none, of the part of
        the encoder, or of the training module, that holds it.
    """
    path = parameter.split(".")[:-1]
    holder = module
    for depth, name in enumerate(path):
        inside_list = isinstance(holder, nn.ModuleList | nn.ModuleDict)
        holder = holder.get_submodule(name)
        if inside_list:
            return ".".join(path[: depth + 1]).removeprefix("encoder.")
    return ".".join(path[:2]).removeprefix("encoder.") or parameter


def write_gradient_histograms(
    writer: SummaryWriter, module: nn.Module, gradients: Iterable[tuple[str, Tensor]], step: int
) -> None:
    """Write one histogram a block.

    Args:
        writer: of TensorBoard.
        module: the training module.
        gradients: of its parameters by name, unscaled.
        step: the step they belong to.
    """
    blocks: dict[str, list[Tensor]] = {}
    for name, gradient in gradients:
        blocks.setdefault(block_of(module, name), []).append(gradient.detach().flatten().float())
    for block, parts in blocks.items():
        values = torch.cat(parts)
        values = values[values.isfinite()]
        if not len(values):
            continue
        low, high, total, squares = torch.stack(
            [values.min(), values.max(), values.sum(), values.square().sum()]
        ).tolist()
        if low == high:
            # torch.histc would widen the range on its own.
            limits, counts = [low, high], [0.0, float(len(values))]
        else:
            limits = torch.linspace(low, high, BINS + 1, dtype=torch.float64)[1:].tolist()
            counts = torch.histc(values, BINS, low, high).tolist()
        writer.add_histogram_raw(
            f"parameter_gradients/{block}", low, high, len(values), total, squares, limits, counts, global_step=step
        )
