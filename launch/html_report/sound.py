"""Short recordings inside the page: mono, 16 kHz, MP3, as data URIs that a click on a point plays.

Cost: reads and encodes about a hundred files, seconds; 10 s of speech take about 40 KB of the page.

Shapes: n samples of sound.
"""

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from accent.audio.decode import decode
from accent.errors import AccentError
from accent.metrics.estimate import thin
from launch.html_report.files import RunFiles
from shards.shard_set.reader import ShardReader
from shards.shard_set.select import select_samples

MOST_RECORDINGS = 100
"""On a page, of all runs together; evenly over their unseen speakers."""
MOST_SECONDS = 10.0
"""Of a recording; a longer one is cut."""
RATE = 16_000


def sounds(runs: Sequence[RunFiles], corpus: Path, most: int = MOST_RECORDINGS, seed: int = 0) -> dict[str, str]:
    """Read recordings of the unseen speakers of all runs.

    Args:
        runs: those whose corpus it is; recordings that are not in their shard sets' corpus cannot be found.
        corpus: the folder that the shard sets were made from.
        most: recordings on the page.
        seed: of their choice.

    Returns:
        Data URI of each recording by its key.

    Raises:
        AccentError: a recording is not where the shard set says, or cannot be read.
    """
    found: dict[str, str] = {}
    with_shards = [run for run in runs if run.shard_set is not None and run.unseen_keys]
    for run in with_shards:
        assert run.shard_set is not None
        keys, speakers = (np.array(part) for part in zip(*run.unseen_keys.items(), strict=True))
        chosen = set(keys[thin(speakers, most // len(with_shards), seed)].tolist()) - set(found)
        reader = ShardReader(run.shard_set)
        for number in select_samples(run.shard_set, sorted(set(speakers) & set(run.shard_set.speakers))):
            metadata = reader.metadata(int(number))
            if metadata["key"] not in chosen:
                continue
            if "source" not in metadata:
                raise AccentError(
                    f"{run.shard_set.place}: does not say which files it was made from; leave out --corpus"
                )
            found[metadata["key"]] = encoded(corpus / metadata["source"], metadata["kept_region"])
    return found


def encoded(path: Path, region: Sequence[float]) -> str:
    """Return a part of a sound file as a data URI.

    Args:
        path: the file.
        region: start and end in seconds.

    Raises:
        AccentError: no such file, or nothing that can be read as sound.
    """
    try:
        samples_NC, rate, _ = decode(path)
    except AccentError as error:
        raise AccentError(f"{error}; say where the corpus of the shard set is (--corpus)") from error
    start, end = region[0], min(region[1], region[0] + MOST_SECONDS)
    part_n = samples_NC[round(start * rate) : round(end * rate)].mean(1)
    file = io.BytesIO()
    soundfile.write(file, soxr.resample(part_n, rate, RATE), RATE, format="MP3")
    return "data:audio/mpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
