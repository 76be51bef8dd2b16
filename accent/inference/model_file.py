"""A trained model on disk: a folder with everything it needs.

`model.safetensors` holds the weights (normalisation included, as buffers) and, in its header, the description: schema
columns, phones, feature configuration, model configuration with the accents' names.  `model.json` is the same
description for people and other programs; loading does not read it, so weights and description cannot fall apart.

Cost: reading or writing the weights.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from accent.configuration import load, to_mapping
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.phones import PHONES
from accent.features.schema import COLUMNS
from accent.files import write_bytes
from accent.model.build import AccentEncoder, build_encoder
from accent.model.config import ModelConfig

FORMAT_VERSION = 1
WEIGHTS_NAME = "model.safetensors"
DESCRIPTION_NAME = "model.json"
_DESCRIPTION_KEY = "accent_model"


def save_model(model: AccentEncoder, folder: Path, feature_config: FeatureConfig) -> Path:
    """Write a model and everything needed to use it.

    Args:
        model: the encoder itself, taken out of any wrapper for several processes.
        folder: made if it is missing; a model already there is replaced, each file in one step.
        feature_config: how the features that the model was trained on were made.

    Returns:
        The folder.
    """
    description = {
        "format_version": FORMAT_VERSION,
        "columns": list(COLUMNS),
        "phones": list(PHONES),
        "features": to_mapping(feature_config),
        "model": to_mapping(model.config),
    }
    weights = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / WEIGHTS_NAME, save(weights, metadata={_DESCRIPTION_KEY: json.dumps(description)}))
    write_bytes(folder / DESCRIPTION_NAME, (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode())
    return folder


def load_model(source: Path | str, device: torch.device | str = "cpu") -> tuple[AccentEncoder, FeatureConfig]:
    """Read a model that `save_model` wrote.

    Args:
        source: a run folder, the `model` folder in it, or the `model.safetensors` file.
        device: where the weights go.

    Returns:
        The encoder, ready to be used (no dropout), and how its features are made.

    Raises:
        AccentError: no model there, a damaged one, or one made for other columns or phones than this program's.
    """
    path = find_weights(Path(source))
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            description = _checked_description((file.metadata() or {}).get(_DESCRIPTION_KEY), path)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except SafetensorError as error:
        raise AccentError(f"{path}: damaged model file ({error}); copy it again, or train again") from error
    try:
        feature_config = load(FeatureConfig, description["features"])
        model_config = load(ModelConfig, description["model"])
    except AccentError as error:
        raise AccentError(f"{path}: written by another version of this program ({error}); train again") from error
    model = build_encoder(model_config).to(device)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise AccentError(f"{path}: the weights do not fit the model they describe ({line}); train again") from error
    return model.eval(), feature_config


def find_weights(source: Path) -> Path:
    """Return the weights file of a run folder, a model folder, or the file itself; `AccentError` if there is none."""
    for candidate in (source, source / WEIGHTS_NAME, source / "model" / WEIGHTS_NAME):
        if candidate.is_file():
            return candidate
    if not source.exists():
        raise AccentError(f"{source}: no such run or model folder")
    raise AccentError(
        f"{source}: no trained model here (no model/{WEIGHTS_NAME}); "
        "train it first: accelerate launch -m launch.train CONFIG"
    )


def _checked_description(text: str | None, path: Path) -> Mapping[str, Any]:
    if text is None:
        raise AccentError(f"{path}: a safetensors file, but not a model of this program; name another")
    description = json.loads(text)
    version = description["format_version"]
    if version != FORMAT_VERSION:
        raise AccentError(f"{path}: model format {version}, this program reads {FORMAT_VERSION}; upgrade the program")
    for key, ours in (("columns", COLUMNS), ("phones", PHONES)):
        if tuple(description[key]) != ours:
            differing = sorted(set(description[key]) ^ set(ours)) or ["their order"]
            shown = ", ".join(differing[:3]) + (" ..." if len(differing) > 3 else "")
            raise AccentError(f"{path}: made for other {key} than this program's ({shown}); train again")
    return description
