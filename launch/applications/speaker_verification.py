"""Speaker verification that knows accents: scores of trials, before and after, overall and by pair of accents.

    raw          cosine
    normalised   adaptive s-norm, each side against the cohort's speakers of its own accent
    calibrated   log likelihood ratio: one regression on the normalised score, same or other accent, length

Cohort and trials share no speaker.  The calibration is trained on pairs of the cohort's own recordings, whose speaker
is left out of the cohort meanwhile.

Shapes: n trials, N recordings.  Cost: a second for 100,000 trials.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from accent.errors import AccentError
from accent.files import write_archive
from accent.metrics.calibration import cllr
from accent.metrics.detection import min_dcf
from accent.metrics.estimate import unit_length
from accent.metrics.quality_calibration import QualityCalibration
from accent.metrics.score_normalisation import CohortStatistics, adaptive_s_norm, cohort_statistics
from accent.metrics.verification import equal_error_rate
from launch.applications.speaker_embeddings import SpeakerEmbeddings

MOST_TRAINING_PAIRS = 200_000


@dataclass(frozen=True, eq=False)
class Trials:
    """Pairs of recordings, as rows of the embeddings."""

    first_n: np.ndarray
    second_n: np.ndarray
    target_n: np.ndarray
    """bool: one speaker on both sides."""


@dataclass(frozen=True, eq=False)
class Scores:
    """What the trials scored."""

    raw_n: np.ndarray
    normalised_n: np.ndarray
    calibrated_n: np.ndarray
    """Natural log likelihood ratios."""
    accents_n: np.ndarray
    """str: the pair of accents, in alphabetical order."""


@dataclass(frozen=True)
class PairFigures:
    """Errors on the trials of a pair of accents, or on all."""

    name: str
    targets: int
    others: int
    eer: tuple[float, float, float] | None
    """Of raw, normalised and calibrated scores; None where the trials are of one kind."""
    min_dcf: tuple[float, float, float] | None
    cllr: float | None
    """Of the calibrated scores, in bits."""


def read_trials(path: Path, embeddings: SpeakerEmbeddings) -> Trials:
    """Read trials in VoxCeleb's format: `1 first second` for one speaker, `0 first second` for two.

    Args:
        path: the list.
        embeddings: of all recordings in it.

    Raises:
        AccentError: a line of another form, or a recording without an embedding.
    """
    place = {key: row for row, key in enumerate(embeddings.key_N.tolist())}
    found: list[tuple[int, int, bool]] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AccentError(f"{path}: cannot be read ({error})") from error
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or words[0] not in ("0", "1"):
            raise AccentError(f"{path}, line {number}: not '1 FIRST SECOND' or '0 FIRST SECOND'")
        for key in words[1:]:
            if key not in place:
                raise AccentError(f"{path}, line {number}: {embeddings.place} has no embedding of {key}")
        found.append((place[words[1]], place[words[2]], words[0] == "1"))
    if not found:
        raise AccentError(f"{path}: no trial in it")
    first, second, target = map(np.array, zip(*found, strict=True))
    return Trials(first, second, target)


def score_trials(embeddings: SpeakerEmbeddings, trials: Trials, cohort: SpeakerEmbeddings, top: int = 100) -> Scores:
    """Score trials, raw, normalised by accent, and calibrated.

    Args:
        embeddings: of the recordings in the trials.
        trials: rows of them.
        cohort: recordings of other speakers, of every accent in the trials; at least two of some speakers.
        top: nearest cohort speakers that count.

    Raises:
        AccentError: a speaker is in the cohort and in the trials, the cohort lacks an accent or repeated speakers, or
            the embeddings differ in length.
    """
    both = sorted(set(embeddings.speaker_N.tolist()) & set(cohort.speaker_N.tolist()))
    if both:
        raise AccentError(f"{cohort.place}: {both[0]} is in the trials too ({len(both)} speakers are); leave them out")
    if embeddings.embedding_NE.shape[1] != cohort.embedding_NE.shape[1]:
        raise AccentError(f"{cohort.place}: embeddings of another length than those of {embeddings.place}")
    # What all embeddings share tells nobody from anybody.
    centre_E = cohort.embedding_NE.mean(0)
    tested_NE, cohort_NE = unit_length(embeddings.embedding_NE - centre_E), unit_length(cohort.embedding_NE - centre_E)
    names, row_C = np.unique(cohort.speaker_N, return_inverse=True)
    speaker_CE = np.stack([cohort_NE[row_C == row].mean(0) for row in range(len(names))])
    accent_C = np.array([cohort.accent_N[np.argmax(row_C == row)] for row in range(len(names))])
    try:
        tested = cohort_statistics(tested_NE, speaker_CE, top, embeddings.accent_N, accent_C)
        own = cohort_statistics(cohort_NE, speaker_CE, top, cohort.accent_N, accent_C, row_C)
        calibration = _calibration(cohort, cohort_NE, own)
    except ValueError as error:
        raise AccentError(f"{cohort.place}: {error}") from error

    first, second = trials.first_n, trials.second_n
    raw_n = (tested_NE[first] * tested_NE[second]).sum(1)
    normalised_n = adaptive_s_norm(raw_n, first, second, tested, tested)
    same_n = embeddings.accent_N[first] == embeddings.accent_N[second]
    shorter_n = _shorter(embeddings, first, second) if cohort.seconds_N is not None else None
    if cohort.seconds_N is not None and shorter_n is None:
        raise AccentError(f"{embeddings.place}: no lengths of recordings, which the cohort has; give both or neither")
    accents_n = np.array([" - ".join(sorted(pair)) for pair in zip(
        embeddings.accent_N[first].tolist(), embeddings.accent_N[second].tolist(), strict=True
    )])  # fmt: skip
    return Scores(raw_n, normalised_n, calibration.ratios(normalised_n, same_n, shorter_n), accents_n)


def _calibration(cohort: SpeakerEmbeddings, cohort_NE: np.ndarray, own: CohortStatistics) -> QualityCalibration:
    first, second = np.triu_indices(len(cohort_NE), 1)
    target_n = cohort.speaker_N[first] == cohort.speaker_N[second]
    # All pairs of one speaker, and as many others as are affordable.
    draw = np.random.default_rng(0).permutation(np.flatnonzero(~target_n))[:MOST_TRAINING_PAIRS]
    kept = np.concatenate([np.flatnonzero(target_n)[:MOST_TRAINING_PAIRS], draw])
    first, second, target_n = first[kept], second[kept], target_n[kept]
    raw_n = (cohort_NE[first] * cohort_NE[second]).sum(1)
    normalised_n = adaptive_s_norm(raw_n, first, second, own, own)
    same_n = cohort.accent_N[first] == cohort.accent_N[second]
    return QualityCalibration.fit(normalised_n, target_n, same_n, _shorter(cohort, first, second))


def _shorter(embeddings: SpeakerEmbeddings, first: np.ndarray, second: np.ndarray) -> np.ndarray | None:
    if embeddings.seconds_N is None:
        return None
    return np.minimum(embeddings.seconds_N[first], embeddings.seconds_N[second])


def figures(scores: Scores, target_n: np.ndarray, target_prior: float = 0.01) -> list[PairFigures]:
    """Return the errors by pair of accents, within accents, and on all trials.

    No speaker has two accents: to trials between two accents belong the target trials of both.

    Args:
        scores: of the trials.
        target_n: bool, true where one speaker speaks on both sides.
        target_prior: of minDCF.
    """
    pairs = []
    for name in np.unique(scores.accents_n).tolist():
        same = [f"{accent} - {accent}" for accent in name.split(" - ")]
        pairs.append((name, (scores.accents_n == name) | (target_n & np.isin(scores.accents_n, same))))
    within_n = np.array([len(set(name.split(" - "))) == 1 for name in scores.accents_n.tolist()])
    pairs += [("within accents", within_n), ("all", np.ones(len(target_n), bool))]
    found = []
    for name, rows_n in pairs:
        target = target_n[rows_n]
        kinds = [one[rows_n] for one in (scores.raw_n, scores.normalised_n, scores.calibrated_n)]
        targets, others = int(target.sum()), int((~target).sum())
        if not targets or not others:
            found.append(PairFigures(name, targets, others, None, None, None))
            continue
        rates = [equal_error_rate(one, target) for one in kinds]
        costs = [min_dcf(one, target, target_prior) for one in kinds]
        found.append(
            PairFigures(
                name,
                targets,
                others,
                (rates[0], rates[1], rates[2]),
                (costs[0], costs[1], costs[2]),
                cllr(kinds[2][target], kinds[2][~target]),
            )
        )
    return found


def write_scores(path: Path, scores: Scores, trials: Trials, embeddings: SpeakerEmbeddings) -> None:
    """Write keys, targets and all scores of the trials as an .npz file."""
    write_archive(
        path,
        {
            "first": embeddings.key_N[trials.first_n],
            "second": embeddings.key_N[trials.second_n],
            "target": trials.target_n,
            "raw": scores.raw_n,
            "normalised": scores.normalised_n,
            "calibrated": scores.calibrated_n,
            "accents": scores.accents_n,
        },
    )
