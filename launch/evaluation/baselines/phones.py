"""The baselines on phone means, with alignments or with phones that were decoded without the text."""

import numpy as np

from accent.errors import AccentError
from launch.evaluation.baselines.baseline import FittedBaseline
from launch.evaluation.baselines.classifiers import RIDGE, SVM, Classifier, fit_on_groups
from launch.evaluation.baselines.decoded_phones import PhonesOfFold
from launch.evaluation.baselines.phone_means import FramePhones, PhoneSegments, PhoneVectors, cut_into_segments
from launch.evaluation.utterances import Utterances
from shards.splits.split import Split

DURATION_WEIGHTS = (0.1, 0.2, 0.4)
"""What the log durations may weigh beside the realisations."""


class PhoneMeans:
    """Phone means in their left context, by thirds, with log durations."""

    seeded = False

    def __init__(self, name: str, phones: PhonesOfFold, source: str, classifier: Classifier = SVM) -> None:
        self.name = name
        self.title = f"phone means, {source} + {classifier.name}"
        self._phones = phones
        self._classifier = classifier

    def fit(self, utterances: Utterances, split: Split, fold: int, seed: int) -> FittedBaseline:
        """Cut all utterances into phones, and learn from the training speakers."""
        numbers = np.concatenate([utterances.taught(split), utterances.tested(split)])
        segments = cut_into_segments(utterances, numbers.tolist(), self._phones(utterances, split, fold))
        return fit_phone_means(segments, utterances, split, self._classifier, seed)


def fit_phone_means(
    segments: PhoneSegments, utterances: Utterances, split: Split, classifier: Classifier, seed: int = 0
) -> FittedBaseline:
    """Learn units, their means and a classifier from a fold's training speakers."""
    vectors = PhoneVectors.learn(segments, utterances.wholes(utterances.taught(split)))
    return fit_on_groups(vectors.of, utterances, split, classifier, DURATION_WEIGHTS, seed)


def aligned_phones(utterances: Utterances, split: Split, fold: int) -> FramePhones:
    """Take the phones of the corpus's alignments.

    Raises:
        AccentError: an utterance has none.
    """
    del split, fold

    def phones(number: int) -> np.ndarray:
        phone_T = utterances.reader.phones(number)
        if phone_T is None:
            raise AccentError(
                f"{utterances.shard_set.place}: sample {utterances.key_N[number]} has no alignment; "
                "leave this baseline out, or align the corpus (accent align) and featurize again"
            )
        return phone_T

    return phones


def has_alignments(utterances: Utterances) -> bool:
    """Tell whether every utterance has an alignment."""
    return bool((utterances.shard_set.index["phones_offset"] >= 0).all())


def phone_baselines(utterances: Utterances, decoded: PhonesOfFold | None) -> list[PhoneMeans]:
    """List the baselines on phones that can be run: with alignments where there are any, with decoded phones if given.

    The support vector machine is the usual one; ridge regression does better with so few speakers, so both stand there.
    """
    found = []
    for classifier in (SVM, RIDGE):
        if has_alignments(utterances):
            name = f"phone_means_aligned_{classifier.name.lower()}"
            found.append(PhoneMeans(name, aligned_phones, "alignments", classifier))
        if decoded is not None:
            found.append(
                PhoneMeans(f"phone_means_decoded_{classifier.name.lower()}", decoded, "decoded phones", classifier)
            )
    return found
