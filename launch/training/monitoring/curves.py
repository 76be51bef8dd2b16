"""Which curve a number belongs to.

TensorBoard sorts groups by name and opens the first two.  So what tells whether a run goes well is under `accuracy/`
and `loss/`, of training and of validation side by side, and the rest follows.  Cost: none.
"""

SPACE = ("temperature", "triplet_active", "embedding_spread", "spread")
"""Numbers of an objective or a validation that say how embeddings lie, and are no loss."""
_RIGHT = ("accuracy", "speaker_accuracy", "frame_accuracy", "explained")
"""Numbers of an objective that grow as it learns."""
_WRONG = ("cross_entropy", "phone_error_rate")
"""Metrics of a validation that fall as the model learns."""


def training_curve(name: str) -> str:
    """Return the curve of a number that an objective reports.

    >>> training_curve("total"), training_curve("accuracy"), training_curve("temperature")
    ('loss/total', 'accuracy/training_accuracy', 'space/temperature')
    """
    if name in _RIGHT:
        return f"accuracy/training_{name}"
    return f"{'space' if name in SPACE else 'loss'}/{name}"


def validation_curve(name: str) -> str:
    """Return the curve of a metric of validation.

    >>> validation_curve("balanced_accuracy"), validation_curve("cross_entropy"), validation_curve("spread")
    ('accuracy/validation_balanced_accuracy', 'loss/validation_cross_entropy', 'space/validation_spread')
    """
    group = "loss" if name in _WRONG else "space" if name in SPACE else "accuracy"
    return f"{group}/validation_{name}"
