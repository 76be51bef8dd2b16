"""Perturbations of feature frames on the device, keyed by seed, step and row of the global batch."""

from typing import TYPE_CHECKING

from accent.lazy import lazy

if TYPE_CHECKING:
    from accent.augmentation.config import AugmentationConfig as AugmentationConfig
    from accent.augmentation.pipeline import Augmented as Augmented
    from accent.augmentation.pipeline import augment as augment
else:
    __getattr__, __all__ = lazy(
        __name__,
        {
            "Augmented": "accent.augmentation.pipeline",
            "AugmentationConfig": "accent.augmentation.config",
            "augment": "accent.augmentation.pipeline",
        },
    )
