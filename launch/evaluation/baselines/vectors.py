"""Baselines on one vector an utterance: means of our features + LDA, eGeMAPS functionals + SVM.

The vector of a group of utterances is the mean of theirs.  Shapes: N utterances, G groups, F features, T frames.
Cost: a pass over the frames; eGeMAPS takes about 0.1 s an utterance once, and is kept beside the results.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from accent.errors import AccentError
from accent.files import write_archive
from launch.evaluation.baselines.baseline import FittedBaseline
from launch.evaluation.baselines.classifiers import LDA, SVM, Classifier, fit_on_groups
from launch.evaluation.utterances import Utterances
from shards.splits.split import Split

VectorsOfUtterances = Callable[[Utterances], np.ndarray]
"""All utterances -> [N, F], without undefined values."""


class MeanVectors:
    """A classifier on the mean of a group's utterance vectors."""

    seeded = False

    def __init__(self, name: str, title: str, vectors: VectorsOfUtterances, classifier: Classifier = LDA) -> None:
        self.name, self.title = name, title
        self._vectors, self._classifier = vectors, classifier
        self._found: tuple[Utterances, np.ndarray] | None = None

    def fit(self, utterances: Utterances, split: Split, fold: int, seed: int) -> FittedBaseline:
        """Learn from the training speakers; the vectors of all utterances are made once."""
        if self._found is None or self._found[0] is not utterances:
            self._found = utterances, self._vectors(utterances)
        vector_NF = self._found[1]

        def vectors(groups: Sequence[np.ndarray]) -> list[np.ndarray]:
            return [np.stack([vector_NF[rows].mean(0) for rows in groups])]

        return fit_on_groups(vectors, utterances, split, self._classifier, seed=seed)


def feature_means(utterances: Utterances) -> np.ndarray:
    """Average every column over the frames where it is defined; 0 stands for a column never defined in an utterance.

    Returns:
        float64 [N, 2 D]: means and standard deviations.
    """
    rows = []
    for number in range(len(utterances)):
        frames_TD = utterances.reader.frames(number).astype(np.float64)
        defined_TD = np.isfinite(frames_TD)
        count_D = np.maximum(defined_TD.sum(0), 1)
        mean_D = np.where(defined_TD, frames_TD, 0).sum(0) / count_D
        variance_D = np.where(defined_TD, (frames_TD - mean_D) ** 2, 0).sum(0) / count_D
        rows.append(np.concatenate([mean_D, np.sqrt(variance_D)]))
    return np.stack(rows)


FEATURE_MEANS = MeanVectors("feature_means", "utterance means of our features + LDA", feature_means)


def egemaps(sound: Path, cache: Path) -> VectorsOfUtterances:
    """Make eGeMAPSv02 functionals of the sound files of a shard set.

    Source: Eyben et al., The Geneva Minimalistic Acoustic Parameter Set, IEEE Trans. Affective Computing 7, 2016.

    Args:
        sound: the corpus folder that the shards' source paths are relative to.
        cache: an .npz file to keep the functionals in.

    Returns:
        A function of the utterances: float64 [N, 88].
    """

    def vectors(utterances: Utterances) -> np.ndarray:
        if cache.is_file():
            with np.load(cache, allow_pickle=False) as archive:
                if archive["key"].tolist() == utterances.key_N.tolist():
                    return archive["functionals"]
        import opensmile
        import soundfile

        smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
        rows = []
        for number in range(len(utterances)):
            metadata = utterances.reader.metadata(number)
            path = sound / metadata["source"]
            try:
                samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            except (OSError, soundfile.LibsndfileError) as error:
                raise AccentError(f"{path}: cannot be read ({error}); say where the corpus is (--sound)") from error
            start, end = (round(seconds * rate) for seconds in metadata["kept_region"])
            rows.append(smile.process_signal(samples[start:end].mean(1), rate).to_numpy()[0])
        functionals_NF = np.nan_to_num(np.stack(rows).astype(np.float64))
        write_archive(cache, {"key": utterances.key_N, "functionals": functionals_NF})
        return functionals_NF

    return vectors


def egemaps_baseline(sound: Path, cache: Path) -> MeanVectors:
    """Return the baseline of eGeMAPS functionals and a support vector machine."""
    return MeanVectors("egemaps", "eGeMAPS functionals + SVM", egemaps(sound, cache), SVM)
