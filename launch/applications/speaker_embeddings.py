"""Speaker embeddings of other programs: read from .npz or from Kaldi's archives, with who speaks in which accent.

    .npz         keys [N], embeddings [N, E]; and speakers [N], accents [N], seconds [N] where they are known
    .scp, .ark   Kaldi's; needs the extra `kaldi`
    a table      utterance, speaker, accent, and seconds where it is known (.tsv, .csv, .jsonl)

Shapes: N recordings, E embedding.  Cost: reading.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accent.errors import AccentError
from shards.corpora.table_rows import RowFault, read_rows


@dataclass(frozen=True, eq=False)
class SpeakerEmbeddings:
    """Embeddings of recordings, with their labels."""

    place: str
    key_N: np.ndarray
    """str."""
    embedding_NE: np.ndarray
    speaker_N: np.ndarray
    """str."""
    accent_N: np.ndarray
    """str."""
    seconds_N: np.ndarray | None
    """Lengths of the recordings; None where they are not known."""


def read_speaker_embeddings(source: Path, labels: Path | None = None) -> SpeakerEmbeddings:
    """Read embeddings and who speaks in each.

    Args:
        source: .npz, .scp or .ark.
        labels: a table with the columns utterance, speaker, accent; not needed if the .npz has speakers and accents.

    Returns:
        The embeddings of all recordings.

    Raises:
        AccentError: a file that cannot be read or is something else, or a recording without labels.
    """
    known: dict[str, np.ndarray] = {}
    if source.suffix == ".npz":
        known = _archive(source)
        keys, embedding_NE = known["keys"].astype(str), np.asarray(known["embeddings"], np.float64)
    elif source.suffix in (".scp", ".ark"):
        keys, embedding_NE = _kaldi(source)
    else:
        raise AccentError(f"{source}: embeddings are an .npz file, or Kaldi's .scp or .ark, not '{source.suffix}'")
    if embedding_NE.ndim != 2 or len(embedding_NE) != len(keys) or not len(keys):
        raise AccentError(f"{source}: embeddings of shape {embedding_NE.shape} for {len(keys)} keys; give [N, E]")
    if not np.isfinite(embedding_NE).all():
        raise AccentError(f"{source}: embeddings hold values that are no finite numbers")
    if labels is not None:
        speaker_N, accent_N, seconds_N = _labels(labels, keys)
    elif "speakers" in known and "accents" in known:
        speaker_N, accent_N = known["speakers"].astype(str), known["accents"].astype(str)
        seconds_N = known.get("seconds")
    else:
        raise AccentError(f"{source}: does not say who speaks; give a table with utterance, speaker, accent (--labels)")
    return SpeakerEmbeddings(str(source), keys, embedding_NE, speaker_N, accent_N, seconds_N)


def _archive(source: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        raise AccentError(f"{source}: cannot be read as .npz ({error})") from error
    missing = [name for name in ("keys", "embeddings") if name not in arrays]
    if missing:
        raise AccentError(f"{source}: has no array {' and no '.join(missing)}; it has {', '.join(arrays) or 'none'}")
    return arrays


def _kaldi(source: Path) -> tuple[np.ndarray, np.ndarray]:
    import kaldiio

    load = kaldiio.load_scp_sequential if source.suffix == ".scp" else kaldiio.load_ark
    try:
        pairs = [(key, np.asarray(value, np.float64).reshape(-1)) for key, value in load(str(source))]
    except (OSError, ValueError, RuntimeError) as error:
        raise AccentError(f"{source}: cannot be read as Kaldi's ({' '.join(str(error).split())})") from error
    lengths = {len(value) for _, value in pairs}
    if len(lengths) != 1:
        raise AccentError(f"{source}: {len(pairs)} vectors of lengths {sorted(lengths)}; all must be of one length")
    return np.array([key for key, _ in pairs]), np.stack([value for _, value in pairs])


def _labels(table: Path, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    rows: dict[str, dict[str, str]] = {}
    for line, row in read_rows(table, ("utterance", "speaker", "accent")):
        if isinstance(row, RowFault):
            raise AccentError(f"{table}, line {line}: {row}")
        rows[row["utterance"]] = row
    missing = [key for key in keys.tolist() if key not in rows]
    if missing:
        raise AccentError(
            f"{table}: does not say who speaks in {missing[0]} ({len(missing)} of {len(keys)} are missing)"
        )
    mine = [rows[key] for key in keys.tolist()]
    seconds_N = None
    if all("seconds" in row for row in mine):
        try:
            seconds_N = np.array([float(row["seconds"]) for row in mine])
        except ValueError as error:
            raise AccentError(f"{table}: a length that is no number ({error})") from error
    return np.array([row["speaker"] for row in mine]), np.array([row["accent"] for row in mine]), seconds_N
