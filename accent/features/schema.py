"""The one table of feature columns; shards, normalisation, the encoder and the reports all derive from it.

Frames are 10 ms apart: frame k is centred at k x 10 ms of the kept region, for all columns.  Undefined values
(F0 of an unvoiced frame, formants of silence) are NaN.  A new family is one more entry of `FAMILIES`, one extractor a
backend, and one encoder in `accent.model.families`.
"""

from dataclasses import dataclass

N_MELS = 80
N_MFCC = 20
N_CHROMA = 12
N_CONTRAST = 7


@dataclass(frozen=True)
class Family:
    """A group of columns that one extractor computes and one encoder reads."""

    name: str
    """Short name, the key everywhere: in shards, configuration and TensorBoard."""
    columns: tuple[str, ...]
    """Column names in storage order, unique over all families."""
    unit: str
    """Unit of the values, or of each column where they differ."""


FAMILIES: tuple[Family, ...] = (
    Family("mel", tuple(f"mel_{band:02d}" for band in range(N_MELS)), "dB"),
    Family("mfcc", tuple(f"mfcc_{index:02d}" for index in range(N_MFCC)), "dB"),
    Family("chroma", tuple(f"chroma_{index:02d}" for index in range(N_CHROMA)), "share of the strongest pitch class"),
    Family(
        "spectral",
        (
            "centroid_hz",
            "bandwidth_hz",
            "rolloff_hz",
            "log_flatness",
            *(f"contrast_{band}_db" for band in range(N_CONTRAST)),
            "zero_crossing_rate",
            "rms_db",
        ),
        "in the names; zero crossings a sample; natural logarithm of flatness",
    ),
    Family("prosody", ("f0_hz", "voicing_strength", "intensity_db"), "in the names; autocorrelation 0..1"),
    Family(
        "formants",
        ("f1_hz", "f2_hz", "f3_hz", "f4_hz", "b1_hz", "b2_hz", "b3_hz", "b4_hz"),
        "Hz: centre frequencies and bandwidths",
    ),
    Family(
        "voice",
        ("hnr_db", "jitter_local", "shimmer_local", "cpp_db", "h1_h2_db", "h1_h2_corrected_db", "tilt_db_octave"),
        "in the names; jitter and shimmer as ratios",
    ),
)

FAMILY_NAMES: tuple[str, ...] = tuple(family.name for family in FAMILIES)
COLUMNS: tuple[str, ...] = tuple(column for family in FAMILIES for column in family.columns)
N_COLUMNS = len(COLUMNS)


def family_slices() -> dict[str, slice]:
    """Return where each family's columns lie in a `[T, D]` array, in storage order."""
    slices, start = {}, 0
    for family in FAMILIES:
        slices[family.name] = slice(start, start + len(family.columns))
        start += len(family.columns)
    return slices


def column_index(column: str) -> int:
    """Return the position of a column, by name; `ValueError` if there is none."""
    return COLUMNS.index(column)
