"""What the accents that a model knows are like, kept beside its weights in `profiles.safetensors`.

    embedding       where each accent lies: the mean of its speakers' embeddings, brought to unit length
    realisations    how each accent realises each phone; models of the branch `phones`, if their shards are aligned
    voices          what a simple speaker embedding is compared by

`accent calibrate` measures them on training speakers.  The file names the weights it was measured on by their sha256,
and is refused for others.  Cost: hashing the weights.

Shapes: A accents, E embedding, U units, V values.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from accent.errors import AccentError
from accent.files import sha256_of, write_bytes
from accent.inference.realisations import PhoneRealisations
from accent.inference.voice import VoiceScale

FORMAT_VERSION = 1
PROFILES_NAME = "profiles.safetensors"


@dataclass(frozen=True, eq=False)
class AccentProfiles:
    """The accents of a model."""

    weights_sha256: str
    """Of the weights file that was measured."""
    accents: tuple[str, ...]
    """In the order of the model's probabilities."""
    embedding_AE: np.ndarray
    """float32, rows of unit length."""
    voices: VoiceScale
    realisations: PhoneRealisations | None
    """None: the branch `frames`, or speech without alignments."""

    def position(self, accent: str) -> int:
        """Return the row of an accent.

        Raises:
            AccentError: the model does not know it.
        """
        if accent not in self.accents:
            raise AccentError(f"the model does not know the accent '{accent}'; it knows {', '.join(self.accents)}")
        return self.accents.index(accent)

    def save(self, folder: Path) -> Path:
        """Write `profiles.safetensors` into a model's folder, whole or not at all; return its path."""
        arrays = {
            "embedding": self.embedding_AE.astype(np.float32),
            "voice_mean": self.voices.mean_V,
            "voice_whitening": self.voices.whitening_VV,
        }
        if self.realisations is not None:
            # Half precision: the spread of single phones is a hundred thousand times its last digit.
            arrays["realisation_mean"] = self.realisations.mean_AUV.astype(np.float16)
            arrays["realisation_spread"] = self.realisations.spread_UV.astype(np.float16)
        told = {
            "format_version": FORMAT_VERSION,
            "weights_sha256": self.weights_sha256,
            "accents": self.accents,
            "same_speaker_above": self.voices.same_above,
            "same_speaker_equal_error_rate": self.voices.equal_error_rate,
        }
        path = folder / PROFILES_NAME
        write_bytes(path, save(arrays, {"profiles": json.dumps(told, ensure_ascii=False)}))
        return path

    @classmethod
    def load(cls, weights: Path, how_to: str) -> "AccentProfiles":
        """Read the profiles beside a weights file.

        Args:
            weights: the model's weights file.
            how_to: the command that measures them, for the error.

        Raises:
            AccentError: there are none, they are damaged, or they were measured on other weights.
        """
        path = weights.parent / PROFILES_NAME
        try:
            with safe_open(path, "np") as file:
                told = json.loads((file.metadata() or {})["profiles"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            if told["format_version"] != FORMAT_VERSION:
                raise AccentError(f"{path}: written by another version of this program; measure again: {how_to}")
            found = cls(
                told["weights_sha256"],
                tuple(told["accents"]),
                arrays["embedding"],
                VoiceScale(
                    arrays["voice_mean"], arrays["voice_whitening"], told["same_speaker_above"],
                    told["same_speaker_equal_error_rate"],
                ),
                PhoneRealisations(
                    arrays["realisation_mean"].astype(np.float32), arrays["realisation_spread"].astype(np.float32)
                )
                if "realisation_mean" in arrays
                else None,
            )  # fmt: skip
        except FileNotFoundError:
            raise AccentError(
                f"{weights.parent}: the accents of this model were not measured; measure them: {how_to}"
            ) from None
        except (OSError, SafetensorError, ValueError, TypeError, KeyError) as error:
            raise AccentError(f"{path}: cannot be read ({error}); measure again: {how_to}") from error
        if found.weights_sha256 != sha256_of(weights):
            raise AccentError(f"{path}: measured on other weights than {weights.name} here; measure again: {how_to}")
        return found
