"""Between kinds of numbers: from the 16-bit integers of a sound file, to the 16-bit floats of a shard.

NumPy does either one value at a time; these do several at once.

Cost: 0.1 ns a value.

Shape legend: N samples, T frames of 10 ms, D columns.
"""

import numpy as np

from accent.dsp.compile import kernel

SIGN = np.uint32(0x8000)
MAGNITUDE = np.uint32(0x7FFFFFFF)
INFINITE = np.uint32(0x7F800000)
"""From these bits on a float32 magnitude is infinite, and above it is no number."""
SMALLEST_NORMAL = np.uint32(0x38800000)
"""2^-14: below, float16 has steps of one size."""
LOWER_EXPONENT = np.uint32(0x38000000)
"""What the exponents of the two formats differ by, 112, in its place."""
LOST_BITS = np.uint32(13)
HALF_A_STEP = np.uint32(0xFFF)
"""With the last bit kept added to it, half of what the bits lost are worth: ties go to the even number."""
QUIET_NAN = np.uint32(0x7E00)
ONE_HALF = np.float32(0.5)
"""A float32 from here up to 1 has steps as large as float16 has below 2^-14: adding it rounds."""
BITS_OF_ONE_HALF = np.uint32(0x3F000000)


@kernel(reorder=True)
def scaled_with_sum(samples_N: np.ndarray, scale: float) -> tuple[np.ndarray, int]:
    """Multiply 16-bit integers by a number: float32 `[N]`; and return their sum.

    Args:
        samples_N: int16.
        scale: where it is a power of two, nothing is rounded.
    """
    factor = np.float32(scale)
    scaled_N, total = np.empty(len(samples_N), dtype=np.float32), 0
    for position in range(len(samples_N)):
        scaled_N[position] = np.float32(samples_N[position]) * factor
        total += samples_N[position]
    return scaled_N, total


@kernel
def to_half(values_TD: np.ndarray) -> np.ndarray:
    """Round float32 numbers to the nearest float16, ties to even: their bits, uint16 `[T, D]`.

    Args:
        values_TD: float32 in C order, magnitudes below 65,520, or NaN.

    Source: IEEE 754-2008, binary32 and binary16.
    """
    bits_TD = values_TD.view(np.uint32)
    halves_TD = np.empty(values_TD.shape, dtype=np.uint16)
    raised_D = np.empty(values_TD.shape[1], dtype=np.float32)
    raised_bits_D = raised_D.view(np.uint32)
    for frame in range(values_TD.shape[0]):
        for column in range(values_TD.shape[1]):
            raised_D[column] = abs(values_TD[frame, column]) + ONE_HALF
        for column in range(values_TD.shape[1]):
            bits = bits_TD[frame, column]
            magnitude = np.uint32(bits & MAGNITUDE)
            even = np.uint32(np.uint32(magnitude >> LOST_BITS) & np.uint32(1))
            rounded = np.uint32(np.uint32(magnitude - LOWER_EXPONENT) + np.uint32(HALF_A_STEP + even))
            half = np.uint32(rounded >> LOST_BITS)
            half = np.uint32(raised_bits_D[column] - BITS_OF_ONE_HALF) if magnitude < SMALLEST_NORMAL else half
            half = QUIET_NAN if magnitude > INFINITE else half
            sign = np.uint32(np.uint32(bits >> np.uint32(16)) & SIGN)
            halves_TD[frame, column] = np.uint16(half | sign)
    return halves_TD
