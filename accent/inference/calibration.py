"""What a model's answers are worth, measured on speakers and kept beside the weights in `calibration.json`.

More speech makes a surer answer, so everything is measured at several amounts of it: one recording of a speaker, two,
four, and so on.  An answer uses the level whose amount of speech is nearest.  At each level there are

    temperature      what logits are divided by, so that a probability of 0.7 comes true seven times in ten
    unknown_above    an unknownness (minus the log of the summed exponentials of the logits) above it is called unknown;
                     a stated share of the known speakers is called unknown too
    same_above       a cosine above it is called the same accent; as many pairs of one accent are rejected as pairs of
                     two accents are accepted, which is the equal error rate

The file names the weights it was measured on by their sha256, and is refused for others.  Cost: hashing the weights.
"""

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from accent.errors import AccentError
from accent.files import sha256_of, write_bytes
from accent.strict_json import to_json

FORMAT_VERSION = 1
CALIBRATION_NAME = "calibration.json"
Basis = Literal["validation speakers", "training speakers", "speakers of a cross-validation"]


@dataclass(frozen=True)
class Level:
    """What holds for one amount of speech."""

    recordings: int
    """Recordings of a speaker that were taken together."""
    seconds: float
    """Median of the speech in them."""
    temperature: float
    """What logits are divided by."""
    unknown_above: float
    """An unknownness above it is called unknown."""
    known_called_unknown: float
    """Share of the measured groups, all of known accents, that this calls unknown."""
    same_above: float
    """A cosine above it is called the same accent."""
    equal_error_rate: float
    """Share of errors of that, on both sides."""


@dataclass(frozen=True)
class Calibration:
    """The levels of a model, and who they were measured on."""

    weights_sha256: str
    """Of the weights file that was measured."""
    basis: Basis
    """Training speakers make a model look surer than it is of speakers it never heard; those of a cross-validation were
    measured with models like this one that never heard them."""
    speakers: int
    """How many."""
    levels: tuple[Level, ...]
    """By ascending seconds; at least one."""

    def level(self, seconds: float) -> Level:
        """Return the level whose amount of speech is nearest, in ratio.

        Args:
            seconds: speech heard.
        """
        return min(self.levels, key=lambda level: abs(math.log(max(seconds, 0.01) / level.seconds)))

    def save(self, folder: Path) -> Path:
        """Write `calibration.json` into a model's folder, whole or not at all; return its path."""
        path = folder / CALIBRATION_NAME
        write_bytes(path, to_json({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=2))
        return path

    @classmethod
    def load(cls, weights: Path, how_to: str) -> "Calibration":
        """Read the calibration beside a weights file.

        Args:
            weights: the model's weights file.
            how_to: the command that makes a calibration, for the error.

        Raises:
            AccentError: there is none, it is damaged, or it was measured on other weights.
        """
        path = weights.parent / CALIBRATION_NAME
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("format_version") != FORMAT_VERSION:
                raise AccentError(f"{path}: written by another version of this program; measure again: {how_to}")
            found = cls(**{**values, "levels": tuple(Level(**level) for level in values["levels"])})
        except FileNotFoundError:
            raise AccentError(f"{weights.parent}: this model is not calibrated; measure it first: {how_to}") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise AccentError(f"{path}: cannot be read ({error}); measure again: {how_to}") from error
        if not found.levels or found.weights_sha256 != sha256_of(weights):
            raise AccentError(f"{path}: measured on other weights than {weights.name} here; measure again: {how_to}")
        return found


def unknownness(logits_A: np.ndarray) -> np.ndarray:
    """Return how little a model recognises: minus the log of the summed exponentials of the logits.

    Source: Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020.

    Args:
        logits_A: the accent head's logits `[..., A]`.

    Returns:
        float64 `[...]`: higher means less known.
    """
    logits_A = np.asarray(logits_A, np.float64)
    largest = logits_A.max(-1, keepdims=True)
    return -(largest.squeeze(-1) + np.log(np.exp(logits_A - largest).sum(-1)))


def probabilities(logits_A: np.ndarray, temperature: float) -> np.ndarray:
    """Return float64 [A], the softmax of the logits over the temperature."""
    scaled_A = np.asarray(logits_A, np.float64) / temperature
    odds_A = np.exp(scaled_A - scaled_A.max())
    return odds_A / odds_A.sum()
