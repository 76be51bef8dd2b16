"""Dropout whose masks are a function of the row, not of the process: the same on any split of a global batch.

A mask is a hash of (key of the row, layer, place in the row).  The key of a row is itself a hash of the run's seed, the
number of the batch and the row's number in the global batch (`accent.augmentation.keyed_uniform.row_keys`).  Nothing is
drawn in sequence, so no generator has a state: several processes, chunks of a batch, a pass that is computed again in
backward and a resumed run all meet the same masks.

    with keyed_rows(encoder, keys_B):
        output = encoder(...)

Where no keys are given, each call draws some from torch's generator, as `nn.Dropout` does.

The words are 32 bits wide and wrap around.  A place is mixed well, but only once for all rows; a row's key then takes
part in one more round, whose high bits decide.  Cost: on a CPU up to twice the time of `nn.Dropout`; one byte a value
between forward and backward, where that keeps four (`python -m tests.benchmarks.dropout`).

Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, for keys and counters; Srivastava et al.,
"Dropout", JMLR 2014.

Shapes: B batch rows, N numbers a row, L layers.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from accent.augmentation.keyed_uniform import mix

_FIRST, _SECOND = 0x21F0_AAAD, 0xD35A_2D97 - (1 << 32)
"""Odd constants of `accent.augmentation.keyed_uniform.mix`, as signed words."""
_WORDS = 1 << 32


class KeyedLayer(nn.Module):
    """A layer that draws random numbers for each row in training."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_B: Tensor | None = None
        """What `keyed_rows` gives for the time of a forward pass."""

    def row_keys(self, rows: int, device: torch.device) -> Tensor:
        """Return a key for each row, int64 `[B]`, 32-bit words.

        Args:
            rows: of the batch, B.
            device: where.

        Raises:
            ValueError: keys were given for another number of rows.
        """
        if self.keys_B is None:
            return torch.randint(_WORDS, (rows,), device=device)
        if len(self.keys_B) != rows:
            raise ValueError(f"keys of {len(self.keys_B)} rows were given for a batch of {rows}")
        return self.keys_B


class KeyedDropout(KeyedLayer):
    """`nn.Dropout` with a mask that depends on each row's key.

    Args:
        share: of the values set to zero in training, 0 up to, but not, 1; the others are divided by 1 - share.

    Example:
        >>> dropout, keys_B = KeyedDropout(0.5), torch.tensor([5, 6, 7])
        >>> with keyed_rows(dropout, keys_B):
        ...     whole = dropout(torch.ones(3, 4, 8))
        >>> with keyed_rows(dropout, keys_B[1:]):
        ...     part = dropout(torch.ones(2, 4, 8))
        >>> torch.equal(whole[1:], part)
        True
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    @property
    def is_on(self) -> bool:
        """Whether a forward pass drops anything."""
        return self.training and self.share > 0

    def forward(self, x: Tensor) -> Tensor:
        """Drop values; in evaluation, or with a share of 0, return the very tensor given.

        Args:
            x: `[B, ...]`; a value's place is counted within its row, so rows of one length meet the same masks.
        """
        if not self.is_on:
            return x
        rows = len(x)
        word_BN = random_words(self.row_keys(rows, x.device), x.numel() // max(rows, 1))
        kept = (word_BN >= round(self.share * _WORDS) - _WORDS // 2).view(x.shape)
        # The product with the mask is exact, so that half precision rounds once; autograd keeps the mask alone.
        return x * kept * (1 / (1 - self.share))


@contextmanager
def keyed_rows(module: nn.Module, keys_B: Tensor) -> Iterator[None]:
    """Give every layer in a module keys of its own for the rows that it is called with.

    Args:
        module: the layers are told apart by their names in it.
        keys_B: a key for each row, from `row_keys`.
    """
    layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, KeyedLayer)}
    streams = [zlib.crc32(f"layer {name}".encode()) for name in layers]
    keys_LB = mix(torch.tensor(streams, dtype=torch.int64, device=keys_B.device)[:, None] ^ keys_B)
    try:
        for layer, layer_keys_B in zip(layers.values(), keys_LB, strict=True):
            layer.keys_B = layer_keys_B
        yield
    finally:
        for layer in layers.values():
            layer.keys_B = None


def random_words(keys_B: Tensor, count: int) -> Tensor:
    """Return 32-bit words, all values alike, of which the high bits are the best.

    Args:
        keys_B: of the rows.
        count: how many a row, below 2^31.

    Returns:
        int32 `[B, N]`; the first ones do not depend on their number.
    """
    place_N = torch.arange(count, dtype=torch.int32, device=keys_B.device)
    place_N = place_N * _FIRST
    place_N = (place_N ^ (place_N >> 16 & 0xFFFF)) * _SECOND
    place_N = place_N ^ (place_N >> 15 & 0x1_FFFF)
    word_BN = (keys_B - _WORDS // 2).to(torch.int32)[:, None] ^ place_N
    # In place: an activation has some million values.
    word_BN.mul_(_FIRST)
    word_BN.bitwise_xor_(word_BN >> 15)
    return word_BN.mul_(_SECOND)


def normal(keys_B: Tensor, count: int) -> Tensor:
    """Return normally distributed random numbers with mean 0 and variance 1, float32 `[B, N]`; arguments as above.

    Source: Box and Muller 1958, "A note on the generation of random normal deviates".
    """
    # 23 bits and a half: never 0 and never 1.
    first_BN, second_BN = (
        ((random_words(mix(keys_B ^ stream), count) >> 9) + 0.5) * 2.0**-23 + 0.5 for stream in (1, 2)
    )
    return (-2 * first_BN.log()).sqrt() * (2 * torch.pi * second_BN).cos()
