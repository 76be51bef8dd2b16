"""Classifiers of vectors of groups of utterances: support vectors, ridge regression, LDA; settings chosen inside.

A group's vector has one or more views (matrices with a weight each).  A classifier learns from whole speakers, or from
whole speakers and single utterances; it is asked about both.  Which is better, how strongly to regularise and what
the second view weighs is chosen for either question by cross-validation over the training speakers, and so is the
temperature of its logits.  All classifiers are scikit-learn's.

Shapes: M training groups, G groups asked about, F features of a view, A accents.
Cost: a Gram matrix of all training groups, and a fit for each setting and inner fold; seconds to a minute.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import SVC

from accent.errors import AccentError
from accent.metrics.calibration import fit_temperature
from accent.metrics.groups import EmbedGroups, GroupOutput
from launch.evaluation.baselines.baseline import FittedBaseline
from launch.evaluation.utterances import Utterances, accent_of, speaker_of
from shards.splits.split import Split

INNER_FOLDS = 3
SMALLEST_DEVIATION = 1e-3
"""Features that vary less between training speakers are not blown up."""

Views = Sequence[np.ndarray]
VectorsOfGroups = Callable[[Sequence[np.ndarray]], Views]
"""Utterance numbers of each group -> views [G, F]."""


class Setting(NamedTuple):
    """What cross-validation over the training speakers chooses."""

    learn_from: str
    """"speakers", or "speakers and utterances"."""
    strength: float
    """C of a support vector machine, alpha of a ridge regression, the shrinkage of LDA."""
    second_view: float
    """Weight of the second view; the first has 1."""


Fit = Callable[[np.ndarray], np.ndarray]
"""A trained classifier: from similarities to the training groups [G, M], or features [G, F], to scores [G, A]."""


class Classifier(NamedTuple):
    """A kind of classifier and what may be chosen for it."""

    name: str
    fit: Callable[[np.ndarray, np.ndarray, int, float], Fit]
    """From (input, accents, number of accents, strength)."""
    strengths: tuple[float, ...]
    on_gram: bool
    """Whether its input is a Gram matrix, or features."""


def fit_svm(gram_MM: np.ndarray, accent_M: np.ndarray, n_accents: int, strength: float) -> Fit:
    """Fit a linear support vector machine for each accent against the others, every class weighing the same."""
    machines = [
        SVC(kernel="precomputed", C=strength, class_weight="balanced").fit(gram_MM, accent_M == accent)
        for accent in range(n_accents)
    ]
    return lambda gram_GM: np.stack([machine.decision_function(gram_GM) for machine in machines], axis=1)


def fit_ridge(gram_MM: np.ndarray, accent_M: np.ndarray, n_accents: int, strength: float) -> Fit:
    """Fit a ridge regression to indicators of the accents, every accent weighing the same."""
    target_MA = np.eye(n_accents)[accent_M] * n_accents - 1
    weight_M = 1 / np.bincount(accent_M, minlength=n_accents)[accent_M]
    regression = KernelRidge(alpha=strength, kernel="precomputed")
    regression.fit(gram_MM, target_MA, sample_weight=weight_M / weight_M.mean())
    return regression.predict


def fit_lda(features_MF: np.ndarray, accent_M: np.ndarray, n_accents: int, strength: float) -> Fit:
    """Fit linear discriminant analysis with a shrunken covariance and equal priors."""
    analysis = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=strength, priors=np.full(n_accents, 1 / n_accents)
    ).fit(features_MF, accent_M)
    return analysis.decision_function


SVM = Classifier("SVM", fit_svm, (1.0, 10.0), True)
RIDGE = Classifier("ridge", fit_ridge, (0.03, 0.1, 0.3, 1.0), True)
LDA = Classifier("LDA", fit_lda, (0.03, 0.1, 0.3, 0.6), False)


def fit_on_groups(
    vectors: VectorsOfGroups,
    utterances: Utterances,
    split: Split,
    classifier: Classifier,
    second_view: tuple[float, ...] = (0.0,),
    seed: int = 0,
) -> FittedBaseline:
    """Fit a classifier of groups of utterances on a fold's training speakers.

    Args:
        vectors: what stands for a group.
        utterances: where the utterances are.
        split: the fold.
        classifier: its kind.
        second_view: weights of the second view to choose from.
        seed: of the inner folds.

    Returns:
        The fitted baseline.  Its embedding is the vector of scores: the accent space that the classifier draws.

    Raises:
        AccentError: an accent has fewer training speakers than there are inner folds.
    """
    taught_n = utterances.taught(split)
    wholes = utterances.wholes(taught_n)
    groups = [*wholes, *taught_n[:, None]]
    accent_M, speaker_M = accent_of(utterances, groups), speaker_of(utterances, groups)
    is_whole_M = np.arange(len(groups)) < len(wholes)
    scaler = _Scaler.learn(vectors(groups), is_whole_M)
    inner = _inner_folds(accent_M, speaker_M, utterances.accents, seed)

    n_accents = len(utterances.accents)
    learn_from = ("speakers", "speakers and utterances")
    candidates = [Setting(*chosen) for chosen in product(learn_from, classifier.strengths, second_view)]
    scores = {
        setting: _out_of_fold(classifier, scaler, setting, accent_M, is_whole_M, inner, n_accents)
        for setting in candidates
    }
    answers: dict[bool, tuple[Setting, Fit, np.ndarray, float]] = {}
    for of_wholes in (True, False):
        asked_M = is_whole_M == of_wholes

        def right(setting: Setting, asked_M: np.ndarray = asked_M) -> float:
            return balanced_accuracy_score(accent_M[asked_M], scores[setting][asked_M].argmax(1))

        best = max(candidates, key=right)
        rows = _rows(best, is_whole_M)
        fitted = classifier.fit(scaler.input(classifier, best, rows, rows), accent_M[rows], n_accents, best.strength)
        answers[of_wholes] = (best, fitted, rows, fit_temperature(scores[best][asked_M], accent_M[asked_M]))

    def embed_groups(asked: Sequence[np.ndarray]) -> GroupOutput:
        views = scaler.scaled(vectors(asked))
        is_single_G = np.array([len(rows) == 1 for rows in asked])
        logits_GA = np.empty((len(asked), n_accents))
        for of_wholes, (setting, fitted, rows, temperature) in answers.items():
            mine = is_single_G != of_wholes
            if mine.any():
                given = scaler.input_of([view[mine] for view in views], classifier, setting, rows)
                logits_GA[mine] = fitted(given) / temperature
        return GroupOutput(logits_GA, logits_GA)

    return FittedBaseline(
        _in_blocks(embed_groups),
        {
            question: {**setting._asdict(), "temperature": temperature}
            for question, (setting, _, _, temperature) in zip(
                ("several utterances", "one utterance"), answers.values(), strict=True
            )
        },
    )


class _Scaler:
    """Views of the training groups: whitened by the deviation over whole speakers, of mean squared length 1."""

    def __init__(self, centres: list[np.ndarray], scales: list[np.ndarray]) -> None:
        self.centres, self.scales = centres, scales
        self.views: list[np.ndarray] = []
        self.grams: list[np.ndarray] = []

    @classmethod
    def learn(cls, views: Views, is_whole_M: np.ndarray) -> "_Scaler":
        centres = [view[is_whole_M].mean(0) for view in views]
        scales = [1 / np.maximum(view[is_whole_M].std(0), SMALLEST_DEVIATION) for view in views]
        for number, view in enumerate(views):
            length = np.sqrt((((view[is_whole_M] - centres[number]) * scales[number]) ** 2).sum(1).mean())
            scales[number] = scales[number] / max(length, 1e-12)
        scaler = cls(centres, scales)
        scaler.views = scaler.scaled(views)
        scaler.grams = [view @ view.T for view in scaler.views]
        return scaler

    def scaled(self, views: Views) -> list[np.ndarray]:
        return [(view - centre) * scale for view, centre, scale in zip(views, self.centres, self.scales, strict=True)]

    def input(self, classifier: Classifier, setting: Setting, asked: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """What the classifier is given for some training groups, when it learns from the rows."""
        if classifier.on_gram:
            weights = (1.0, setting.second_view)
            return sum(
                weight * gram[np.ix_(asked, rows)].astype(np.float64)
                for weight, gram in zip(weights, self.grams, strict=False)
            )
        return self._features([view[asked] for view in self.views], setting)

    def input_of(self, views: Views, classifier: Classifier, setting: Setting, rows: np.ndarray) -> np.ndarray:
        """What the classifier is given for other groups, scaled already."""
        if classifier.on_gram:
            weights = (1.0, setting.second_view)
            return sum(
                weight * (view @ mine[rows].T).astype(np.float64)
                for weight, view, mine in zip(weights, views, self.views, strict=False)
            )
        return self._features(views, setting)

    @staticmethod
    def _features(views: Views, setting: Setting) -> np.ndarray:
        weights = (1.0, np.sqrt(setting.second_view))
        return np.concatenate([weight * view for weight, view in zip(weights, views, strict=False)], axis=1)


def _rows(setting: Setting, is_whole_M: np.ndarray) -> np.ndarray:
    return np.flatnonzero(is_whole_M) if setting.learn_from == "speakers" else np.arange(len(is_whole_M))


def _inner_folds(
    accent_M: np.ndarray, speaker_M: np.ndarray, accents: Sequence[str], seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    speakers, first = np.unique(speaker_M, return_index=True)
    count_A = np.bincount(accent_M[first], minlength=len(accents))
    fewest = int(count_A.argmin())
    folds = min(INNER_FOLDS, int(count_A.min()))
    if folds < 2:
        raise AccentError(
            f"accent '{accents[fewest]}' has {count_A[fewest]} training speakers; a baseline chooses its settings by "
            "cross-validation over at least 2"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    folds_S = np.zeros(len(speakers), dtype=int)
    for number, (_, held_out) in enumerate(splitter.split(speakers, accent_M[first], speakers)):
        folds_S[held_out] = number
    fold_M = folds_S[np.searchsorted(speakers, speaker_M)]
    return [(np.flatnonzero(fold_M != fold), np.flatnonzero(fold_M == fold)) for fold in range(folds)]


def _out_of_fold(
    classifier: Classifier,
    scaler: _Scaler,
    setting: Setting,
    accent_M: np.ndarray,
    is_whole_M: np.ndarray,
    inner: Sequence[tuple[np.ndarray, np.ndarray]],
    n_accents: int,
) -> np.ndarray:
    scores_MA = np.empty((len(accent_M), n_accents))
    for learnt, held_out in inner:
        rows = np.intersect1d(learnt, _rows(setting, is_whole_M))
        fitted = classifier.fit(
            scaler.input(classifier, setting, rows, rows), accent_M[rows], n_accents, setting.strength
        )
        scores_MA[held_out] = fitted(scaler.input(classifier, setting, held_out, rows))
    return scores_MA


def _in_blocks(embed_groups: EmbedGroups, most: int = 512) -> EmbedGroups:
    """Answer many groups some at a time, so that their vectors need little memory."""

    def embed(groups: Sequence[np.ndarray]) -> GroupOutput:
        parts: list[Any] = [embed_groups(groups[start : start + most]) for start in range(0, len(groups), most)]
        return GroupOutput(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    return embed
