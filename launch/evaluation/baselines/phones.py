"""The baselines on phone means, with alignments or with phones that were decoded without the text."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from accent.errors import AccentError
from accent.features.phones import PHONES
from launch.evaluation.baselines.baseline import FittedBaseline
from launch.evaluation.baselines.classifiers import RIDGE, SVM, Classifier, fit_on_groups
from launch.evaluation.baselines.phone_means import FramePhones, PhoneSegments, PhoneVectors, cut_into_segments
from launch.evaluation.utterances import Utterances
from shards.splits.split import Split

DURATION_WEIGHTS = (0.1, 0.2, 0.4)
"""What the log durations may weigh beside the realisations."""

PhonesOfFold = Callable[[Utterances, Split, int], FramePhones]
"""From (utterances, fold, number of the fold) to a function that tells the phone of every frame of an utterance.  A
recogniser behind it may have learnt from the fold's training speakers only, and should be held back from the training
utterances it decodes."""


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


def phones_of_files(folder: Path) -> PhonesOfFold:
    """Take phones that a recogniser decoded before, a file for each fold.

    Args:
        folder: holds `fold0.npz`, `fold1.npz` ... with `key` (the samples' keys), `offset` (int [N + 1]), `phone` (the
            phone numbers of all utterances one after the other; utterance i has offset[i] to offset[i + 1]), and
            `is_test` (whether the recogniser never heard the utterance's speaker).

    Returns:
        A source of phones for each fold.
    """

    def of_fold(utterances: Utterances, split: Split, fold: int) -> FramePhones:
        path = folder / f"fold{fold}.npz"
        if not path.is_file():
            raise AccentError(f"{path}: no decoded phones of fold {fold}; decode it, or leave this baseline out")
        with np.load(path, allow_pickle=False) as archive:
            key, offset, phone, tested = (archive[name] for name in ("key", "offset", "phone", "is_test"))
        row = {name: number for number, name in enumerate(key.tolist())}
        _check_fold(path, utterances, split, row, tested)
        if phone.max() >= len(PHONES):
            raise AccentError(f"{path}: phone {phone.max()}, but there are {len(PHONES)}; decode with this inventory")

        def phones(number: int) -> np.ndarray:
            name = str(utterances.key_N[number])
            if name not in row:
                raise AccentError(f"{path}: no utterance {name}; decode the whole shard set")
            at = row[name]
            phone_T = phone[offset[at] : offset[at + 1]]
            if len(phone_T) != utterances.shard_set.index["frames"][number]:
                raise AccentError(f"{path}: {name} has {len(phone_T)} frames, not those of the shard set; decode again")
            return phone_T

        return phones

    return of_fold


def _check_fold(path: Path, utterances: Utterances, split: Split, row: dict[str, int], tested: np.ndarray) -> None:
    """Refuse a recogniser that has heard the fold's test speakers."""
    heard = [
        str(utterances.key_N[number])
        for number in utterances.tested(split)
        if not tested[row.get(str(utterances.key_N[number]), 0)]
    ]
    if heard:
        raise AccentError(f"{path}: its recogniser has heard {heard[0]}, who is tested; decode with the same folds")


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
