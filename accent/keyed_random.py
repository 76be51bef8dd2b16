"""Random numbers as a pure function of a key, the same on all machines and with all versions of numpy.

The words are Philox's raw output and not `numpy.random.Generator`'s, whose results may change between versions.
Cost: 10 us to seed, then 1 ns a word.
"""

import numpy as np


def random_words(count: int, *key: int) -> np.ndarray:
    """Return random words.

    Args:
        count: how many.
        key: integers in 0 ... 2^64 - 1: the seed, what the words are for, the step and so on.  Keys that must differ
            have the same number of integers: zeros at the end of a key do not count.

    Returns:
        uint64 `[count]`, uniform.

    >>> bool(np.array_equal(random_words(3, 1, 2), random_words(3, 1, 2)))
    True
    """
    # Two halves each: a seed sequence reads 32 bits at a time, and would take large and small integers for keys of
    # unequal length.
    halves = np.array(key, "<u8").view("<u4")
    return np.random.Philox(np.random.SeedSequence(halves)).random_raw(count)


def permutation(size: int, *key: int) -> np.ndarray:
    """Return 0 ... size - 1 in random order, int64 `[size]`.

    Args:
        size: how many; at least 1.
        key: as for `random_words`.

    >>> sorted(permutation(5, 7).tolist())
    [0, 1, 2, 3, 4]
    """
    bits = np.uint64((size - 1).bit_length())
    # A place in the low bits of each word: sorting words is several times faster than argsort, and as no two are
    # equal, all sorting methods give the same.
    words = (random_words(size, *key) >> bits << bits) | np.arange(size, dtype=np.uint64)
    words.sort()
    return (words & ((np.uint64(1) << bits) - np.uint64(1))).astype(np.int64)
