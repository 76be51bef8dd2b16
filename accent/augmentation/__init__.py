"""Perturbations of feature frames on the device, keyed by seed, step and row of the global batch."""

from accent.lazy import lazy

__getattr__, __all__ = lazy(
    __name__,
    {
        "Augmented": "accent.augmentation.pipeline",
        "AugmentationConfig": "accent.augmentation.config",
        "augment": "accent.augmentation.pipeline",
    },
)
