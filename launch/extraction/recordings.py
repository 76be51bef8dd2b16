"""Embedded recordings with what is known of them.  Shapes: N recordings, E embedding, A accents.  Cost: none."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Recordings:
    """Embedded recordings with what is known of them, one row each."""

    key_N: np.ndarray
    """str: the sample's key."""
    embedding_NE: np.ndarray
    """float32 of unit length."""
    probability_NA: np.ndarray
    """float32: the accent head's probabilities, in the order of the model's accents."""
    accent_N: np.ndarray
    """int64: position in the model's accents."""
    speaker_N: np.ndarray
    """str: the speaker's name."""
    sex_N: np.ndarray
    """str: "female", "male", or "" where unknown."""
    seconds_N: np.ndarray
    """float64: the length after trimming."""

    def __len__(self) -> int:
        return len(self.key_N)
