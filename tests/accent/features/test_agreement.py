"""The numba backend has librosa's and Praat's numbers: on real speech, and on the demo corpus.

The quick suite compares twelve recordings of twelve speakers and six of the demo, the slow one all of them.  The bounds
leave a factor of ten or more above what was measured, for other processors and library versions.  Run with `pytest -s`
to see the table of errors.
"""

from pathlib import Path

import numpy as np
import pytest

from accent.features.schema import FAMILIES, column_index
from shards.corpora.synthetic.demo import make_demo_corpus
from tests.support.agreement import PERTURBATION, Agreement, compare, print_table, recordings, relative

SPECTRAL = tuple(family for family in FAMILIES if family.name in ("mel", "mfcc", "chroma", "spectral"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("saa", 10), id="saa"),
        pytest.param(("demo", 8), id="demo"),
        pytest.param(("saa", 1), id="all of saa", marks=pytest.mark.slow),
        pytest.param(("demo", 1), id="all of demo", marks=pytest.mark.slow),
    ],
)
def agreement(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Agreement:
    corpus, every = request.param
    if corpus == "demo":
        # All of its accents and voices; more sentences only take longer, for Praat is slow.
        paths = recordings(make_demo_corpus(tmp_path_factory.mktemp("demo") / "corpus", prompts=2))
        assert len(paths) == 48
    else:
        paths = recordings(_saa(request))
        assert len(paths) > 100
    found = compare(paths[::every])
    print_table(found, corpus)
    return found


def _saa(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue("saa")
    return folder


def test_spectral_families_are_librosas(agreement: Agreement) -> None:
    for family in SPECTRAL:
        for column in family.columns:
            theirs_T, ours_T = agreement.pair(column)
            allowed_T = 1e-6 * np.abs(theirs_T)
            if family.unit == "dB" or column.endswith("_db"):
                allowed_T = np.maximum(allowed_T, 1e-5)
            assert (np.abs(ours_T - theirs_T) <= allowed_T).all(), column
            assert agreement.differently_defined(column) == 0, column


def test_intensity_is_praats(agreement: Agreement) -> None:
    assert agreement.error("intensity_db").max() <= 1e-5
    assert agreement.differently_defined("intensity_db") == 0


def test_pitch_is_praats(agreement: Agreement) -> None:
    assert agreement.differently_defined("f0_hz") <= 0.0005
    assert np.mean(agreement.error("f0_hz") <= 0.05) >= 0.9995
    assert np.quantile(agreement.error("voicing_strength"), 0.999) <= 1e-4


def test_harmonics_to_noise_ratio_is_praats(agreement: Agreement) -> None:
    median, most = np.quantile(agreement.error("hnr_db"), [0.5, 0.999])
    assert median <= 1e-4 and most <= 0.01
    assert agreement.differently_defined("hnr_db") <= 0.0005


def test_formants_are_praats_on_the_same_signal(agreement: Agreement) -> None:
    for number in range(1, 5):
        assert np.mean(agreement.error(f"f{number}_hz") <= 1e-3) >= 0.9999
        assert np.mean(relative(*agreement.pair(f"b{number}_hz")) <= 1e-5) >= 0.9999
        assert agreement.differently_defined(f"f{number}_hz") <= 1e-4


def test_cepstral_peak_prominence_is_praats(agreement: Agreement) -> None:
    assert np.quantile(agreement.error("cpp_db"), 0.999) <= 1e-5
    assert agreement.differently_defined("cpp_db") == 0


def test_harmonics_and_tilt_follow_their_definitions(agreement: Agreement) -> None:
    # Their F0 is not ours to the last digit, and H1-H2 hangs on it.
    for column in ("h1_h2_db", "h1_h2_corrected_db", "tilt_db_octave"):
        assert np.quantile(agreement.error(column), 0.999) <= 0.05, column
        assert agreement.differently_defined(column) <= 0.0005, column


@pytest.mark.parametrize(("column", "allowed"), [("jitter_local", 1e-6), ("shimmer_local", 1e-6)])
def test_jitter_and_shimmer_are_praats_given_its_pulses(agreement: Agreement, column: str, allowed: float) -> None:
    theirs_T = agreement.theirs_TD[:, column_index(column)]
    ours_T = agreement.given_pulses_T2[:, PERTURBATION.index(column)]
    assert relative(theirs_T, ours_T).max() <= allowed
    np.testing.assert_array_equal(np.isfinite(theirs_T), np.isfinite(ours_T))


@pytest.mark.parametrize("column", PERTURBATION)
def test_jitter_and_shimmer_are_no_further_from_praat_than_praat_shifted(agreement: Agreement, column: str) -> None:
    theirs_T, ours_T = (frames_TD[:, column_index(column)] for frames_TD in (agreement.theirs_TD, agreement.ours_TD))
    shifted_T = agreement.shifted_T2[:, PERTURBATION.index(column)]
    for quantile in (0.5, 0.9, 0.99):
        ours, praats = (np.quantile(relative(theirs_T, values_T), quantile) for values_T in (ours_T, shifted_T))
        assert ours <= praats, quantile
    assert np.mean(np.isfinite(theirs_T) != np.isfinite(ours_T)) <= np.mean(
        np.isfinite(theirs_T) != np.isfinite(shifted_T)
    )
