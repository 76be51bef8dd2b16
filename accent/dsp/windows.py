"""The window that several of Praat's analyses share.  Cost: none beside what it weighs.

Shape legend: W samples of a window.
"""

import numpy as np


def gaussian_window(length: int) -> np.ndarray:
    """Return Praat's Gaussian window `[W]`, shifted down so that it reaches 0 one sample outside either end.

    Args:
        length: samples.

    Source: Boersma (1993), Accurate short-term analysis of the fundamental frequency, postscript.
    """
    from_middle_W = (np.arange(1, length + 1) - (length + 1) / 2) / (length + 1)
    return (np.exp(-48 * from_middle_W**2) - np.exp(-12)) / (1 - np.exp(-12))
