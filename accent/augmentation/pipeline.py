"""All perturbations of a training batch, in the order in which they happen to a sound: voice, channel, level, noise.

Masks come last.  The result of a row depends on (seed, step, row of the global batch) and on the row, not on the other
rows: any number of ranks that share a batch make the same of it.
Cost: nothing when all is off; else, for 32 crops of 4 s, 8 ms (time masks) to 62 ms (speed) of one core a
perturbation.

Shapes: B batch rows, T frames, D columns of the schema.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from accent.augmentation.config import AugmentationConfig
from accent.augmentation.equaliser import equalise
from accent.augmentation.gain import change_gain
from accent.augmentation.keyed_uniform import factors, row_keys, uniform
from accent.augmentation.noise import add_noise
from accent.augmentation.spec_augment import mask_frequency, mask_time
from accent.augmentation.speed import change_tempo, raise_frequencies
from accent.augmentation.vocal_tract import change_vocal_tract


class Augmented(NamedTuple):
    """A perturbed batch, of the shapes and types that went in."""

    frames_BTD: Tensor
    """Features in physical units, NaN where undefined, 0 in padding."""
    valid_BT: Tensor
    """True for real frames; another tempo has another number of them."""
    phones_BT: Tensor
    """Phone of every frame, -1 where unknown and in padding."""


def augment(
    config: AugmentationConfig,
    frames_BTD: Tensor,
    valid_BT: Tensor,
    phones_BT: Tensor,
    *,
    step: int,
    first_row: int,
    seed: int,
) -> Augmented:
    """Perturb a batch of crops.

    Args:
        config: what is on.
        frames_BTD: all columns of the schema in physical units, NaN where undefined, 0 in padding; float16 or float32.
        valid_BT: real frames, the first ones of every row.
        phones_BT: phone of every frame.
        step: which batch; batches that are accumulated into one step have numbers of their own.
        first_row: position of this process's first row in the global batch.
        seed: of the run.

    Returns:
        The perturbed batch; the very tensors given when everything is off.
    """
    if not config.is_on:
        return Augmented(frames_BTD, valid_BT, phones_BT)
    with torch.no_grad(), torch.autocast(frames_BTD.device.type, enabled=False):
        keys_B = row_keys(seed, step, first_row, len(frames_BTD), frames_BTD.device)

        def chosen(stream: str) -> Tensor:
            return uniform(keys_B, f"{stream} chosen", 1).squeeze(1) < config.probability

        x_BTD = frames_BTD.float()
        tempo_B = torch.ones(len(x_BTD), device=x_BTD.device)
        if config.tempo:
            tempo_B = factors(keys_B, "tempo", config.tempo, chosen("tempo"))
        if config.speed:
            speed_B = factors(keys_B, "speed", config.speed, chosen("speed"))
            x_BTD = raise_frequencies(x_BTD, speed_B)
            tempo_B = tempo_B * speed_B
        if config.tempo or config.speed:
            x_BTD, valid_BT, phones_BT = change_tempo(x_BTD, valid_BT, phones_BT, tempo_B)
        if config.vocal_tract:
            x_BTD = change_vocal_tract(x_BTD, factors(keys_B, "vocal tract", config.vocal_tract, chosen("vocal tract")))
        if config.equaliser_db:
            x_BTD = equalise(x_BTD, keys_B, config.equaliser_db, chosen("equaliser"))
        if config.gain_db:
            x_BTD = change_gain(x_BTD, keys_B, config.gain_db, chosen("gain"))
        if config.noise_snr_db is not None:
            x_BTD = add_noise(
                x_BTD, valid_BT, keys_B, config.noise_snr_db, config.noise_snr_highest_db, chosen("noise")
            )
        if config.frequency_masks:
            x_BTD = mask_frequency(
                x_BTD, valid_BT, keys_B, config.frequency_masks, config.frequency_mask_bands, chosen("frequency masks")
            )
        if config.time_masks:
            x_BTD = mask_time(x_BTD, valid_BT, keys_B, config.time_masks, config.time_mask_frames, chosen("time masks"))
        x_BTD = x_BTD.masked_fill(~valid_BT[..., None], 0.0)
        if frames_BTD.dtype == torch.float16:
            largest = torch.finfo(torch.float16).max
            x_BTD = x_BTD.clamp(-largest, largest)
        return Augmented(x_BTD.to(frames_BTD.dtype), valid_BT, phones_BT)
