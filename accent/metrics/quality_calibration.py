"""From scores of speaker trials to log likelihood ratios that know what accents are compared.

One logistic regression on the score, on what the two sides' accents are (one, another), on the lengths of the two
recordings, and on how the score counts within one accent: a quality measure function.  Trained on trials of other
speakers than those it is used on; the two classes weigh the same.

Shapes: n trials.  Cost: milliseconds.

Source: Thienpondt et al. 2021, "The IDLAB VoxCeleb Speaker Recognition Challenge 2020 system description", for quality
measures in the calibration; Brümmer 2010, "Measuring, refining and calibrating speaker and language information".
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


@dataclass(frozen=True, eq=False)
class QualityCalibration:
    """A trained calibration."""

    regression: Pipeline

    @classmethod
    def fit(
        cls, score_n: np.ndarray, target_n: np.ndarray, same_accent_n: np.ndarray, shorter_seconds_n: np.ndarray | None
    ) -> "QualityCalibration":
        """Train on trials whose answer is known.

        Args:
            score_n: raw or normalised scores.
            target_n: bool, true where one speaker speaks on both sides.
            same_accent_n: bool, true where the two sides have one accent.
            shorter_seconds_n: length of the shorter recording; None where it is not known.

        Raises:
            ValueError: trials of one kind only.
        """
        target_n = np.asarray(target_n, bool)
        if target_n.all() or not target_n.any():
            raise ValueError("a calibration needs both target and non-target trials")
        regression = make_pipeline(StandardScaler(), LogisticRegression(C=10.0, class_weight="balanced", max_iter=1000))
        return cls(regression.fit(_qualities(score_n, same_accent_n, shorter_seconds_n), target_n))

    def ratios(
        self, score_n: np.ndarray, same_accent_n: np.ndarray, shorter_seconds_n: np.ndarray | None
    ) -> np.ndarray:
        """Return natural log likelihood ratios, float64 [n]; arguments as for `fit`."""
        return np.asarray(self.regression.decision_function(_qualities(score_n, same_accent_n, shorter_seconds_n)))


def _qualities(score_n: np.ndarray, same_accent_n: np.ndarray, shorter_seconds_n: np.ndarray | None) -> np.ndarray:
    same_n = np.asarray(same_accent_n, float)
    columns = [score_n, same_n, same_n * score_n]
    if shorter_seconds_n is not None:
        columns.append(np.log(np.maximum(shorter_seconds_n, 0.1)))
    return np.stack(columns, axis=1)
