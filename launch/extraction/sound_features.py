"""Features of sound files for a model, by this process or by several.

A worker imports neither torch nor the model.  Cost: some milliseconds a second of sound; a worker starts in seconds.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from accent.audio.prepare import load_speech
from accent.errors import AccentError
from accent.features.config import FeatureConfig
from accent.features.extract import extract


def features_of_files(
    paths: Sequence[Path], config: FeatureConfig, workers: int = 1
) -> Iterator[np.ndarray | AccentError]:
    """Yield the features of each file, in the order of the paths; or why the file cannot be used.

    Args:
        paths: sound files.
        config: how the features are made.
        workers: processes; with one, this process does the work.

    Yields:
        float32 [T, D], schema columns in raw units, or the error that one file gives.
    """
    work = partial(_features, config=config)
    if workers == 1 or len(paths) < 2:
        yield from map(work, paths)
        return
    # A forked process would inherit torch's threads in whatever state they are.
    with ProcessPoolExecutor(min(workers, len(paths)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, paths, chunksize=4)


def _features(path: Path, config: FeatureConfig) -> np.ndarray | AccentError:
    try:
        return extract(load_speech(path, config.audio), config).frames_TD
    except AccentError as error:
        return error
    except MemoryError:
        raise
    except Exception as error:
        # Whatever one file brings about, foreseen or not, must not cost the others.
        reason = f"the features could not be computed ({type(error).__name__}: {' '.join(str(error).split())})"
        return AccentError(f"{path}: {reason}")
