"""A trained model as a network for other programs: torch.export and ONNX, any batch, any time from 50 ms on; int8 too.

    branch frames    frames -> embedding and accent logits: the whole model
    branch phones    frames -> posteriors of phone states and of phones: the two phone heads, averaged

Normalisation is part of the network.  What stays in Python: from sound to frames (compiled kernels); for the branch
`phones` also the sum over all paths through the phones, the sums by phone and the map from them to the embedding.

Inputs: `frames` float32 [B, T, 143], columns in the order of `model.json`, NaN where undefined, values as float16 holds
them; `valid` bool [B, T], true for real frames, which come first.  A model that normalises by speaker takes `count`,
`centre` and `spread` too, [B, 143] each: what `accent.model.normalisation.measure_voices` returns.

Shapes: B batch rows, T frames, D columns, E embedding, A accents, S states of phones, P phones.  Cost: a minute.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from accent.features.phones import PHONES
from accent.features.schema import N_COLUMNS
from accent.model.build import AccentEncoder
from accent.model.encoder import EnhancedAccentEncoder
from accent.model.normalisation import VoiceStatistics, measure_voices
from accent.model.phonetic.encoder import PhoneticEncoder
from accent.model.phonetic.phone_head import JOINED_FRAMES

PROGRAM_NAME = "model.pt2"
ONNX_NAME = "model.onnx"
INT8_NAME = "model.int8.onnx"
_EXAMPLE_FRAMES = 151


class _NoReconstruction(nn.Module):
    def forward(self, positions: Tensor, frames: int) -> Tensor:
        return positions


class _Encoder(nn.Module):
    """The branch `frames`, whole."""

    outputs = ("embedding", "logits")

    def __init__(self, encoder: EnhancedAccentEncoder) -> None:
        super().__init__()
        # The same parts but for the reconstruction, which only training reads.
        self.encoder = copy.copy(encoder)
        self.encoder._modules = {**encoder._modules, "reconstruction": _NoReconstruction()}

    def forward(
        self,
        frames: Tensor,
        valid: Tensor,
        count: Tensor | None = None,
        centre: Tensor | None = None,
        spread: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        output = self.encoder(frames, valid, _voice(count, centre, spread))
        return output.embedding_BE, output.accent_logits_BA


class _PhoneHeads(nn.Module):
    """Normalisation and phone heads of the branch `phones`."""

    outputs = ("state_posteriors", "phone_posteriors")

    def __init__(self, encoder: PhoneticEncoder) -> None:
        super().__init__()
        self.normalisation, self.recogniser = encoder.normalisation, encoder.recogniser
        self.phone_SP: Tensor
        self.register_buffer("phone_SP", F.one_hot(encoder.recogniser.phone_S, len(PHONES)).float())

    def forward(
        self,
        frames: Tensor,
        valid: Tensor,
        count: Tensor | None = None,
        centre: Tensor | None = None,
        spread: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        length = frames.shape[1]
        # The heads join frames; made a multiple here, the length asks no question that depends on its value.
        missing = (length + JOINED_FRAMES - 1) // JOINED_FRAMES * JOINED_FRAMES - length
        values, _ = self.normalisation(frames, valid, _voice(count, centre, spread))
        values, valid = F.pad(values, (0, 0, 0, missing)), F.pad(valid, (0, missing))
        # Selected, not cut off: whether a cut is contiguous is a question about the length, too.
        real_T = torch.arange(length, device=frames.device)
        posterior_BTS = self.recogniser.posteriors(values, valid).index_select(1, real_T)
        return posterior_BTS, posterior_BTS @ self.phone_SP


def _voice(count: Tensor | None, centre: Tensor | None, spread: Tensor | None) -> VoiceStatistics | None:
    if count is None or centre is None or spread is None:
        return None
    return VoiceStatistics(count, centre, spread)


def network_of(model: AccentEncoder) -> _Encoder | _PhoneHeads:
    """Return the part of a model that is exported, without dropout."""
    network = _PhoneHeads(model) if isinstance(model, PhoneticEncoder) else _Encoder(model)
    return network.eval()


def network_inputs(model: AccentEncoder, frames_BTD: np.ndarray, valid_BT: np.ndarray) -> dict[str, np.ndarray]:
    """Return the inputs of an exported network by name.

    Args:
        model: whose network it is.
        frames_BTD: schema columns in raw units, NaN where undefined; anything in padding.
        valid_BT: true for real frames.
    """
    # Rounded as in shards, which is what the model was trained on.
    stored = frames_BTD.astype(np.float16).astype(np.float32)
    inputs: dict[str, np.ndarray] = {"frames": stored, "valid": valid_BT}
    if model.config.normalisation == "speaker":
        voices = measure_voices(torch.from_numpy(stored), torch.from_numpy(valid_BT))
        inputs |= {name.split("_")[0]: part.numpy() for name, part in voices._asdict().items()}
    return inputs


def write_networks(model: AccentEncoder, folder: Path) -> tuple[str, ...]:
    """Write a model's network as `model.pt2` (torch.export), `model.onnx` and `model.int8.onnx`.

    Args:
        model: on the CPU; left as it came.
        folder: exists.

    Returns:
        Names of the network's outputs.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    network = network_of(model)
    example_BTD = torch.zeros(2, _EXAMPLE_FRAMES, N_COLUMNS)
    valid_BT = torch.ones(2, _EXAMPLE_FRAMES, dtype=torch.bool)
    inputs = {
        name: torch.from_numpy(value)
        for name, value in network_inputs(model, example_BTD.numpy(), valid_BT.numpy()).items()
    }
    dynamic = torch.export.Dim.DYNAMIC
    shapes: dict[str, Any] = {
        name: {0: dynamic, 1: dynamic} if name in ("frames", "valid") else {0: dynamic} for name in inputs
    }
    with torch.no_grad():
        program = torch.export.export(network, tuple(inputs.values()), dynamic_shapes=shapes)
    torch.export.save(program, folder / PROGRAM_NAME)
    exported = torch.onnx.export(
        program, dynamo=True, input_names=list(inputs), output_names=list(network.outputs), verbose=False
    )
    if exported is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    exported.save(folder / ONNX_NAME)
    network_proto = onnx.load(folder / ONNX_NAME)
    # Older versions of onnxruntime infer shapes again and take differences in dynamic dimensions for faults.
    del network_proto.graph.value_info[:]
    # Nor do they convolve with signed weights.
    quantize_dynamic(network_proto, folder / INT8_NAME, weight_type=QuantType.QUInt8)
    return network.outputs
