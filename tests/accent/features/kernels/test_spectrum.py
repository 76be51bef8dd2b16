"""The compiled spectral families: the reference backend on real speech, brute force, and sounds at the edges."""

import subprocess
import sys
import warnings
from pathlib import Path

import librosa.filters
import numpy as np
import pytest
import scipy.fft

from accent.audio.prepare import AudioConfig, load_speech
from accent.features.kernels import filterbanks, spectral_shape, spectrum
from accent.features.kernels.spectrum import spectral_frames
from accent.features.mel import cosine_transform
from accent.features.reference import spectrum as reference
from accent.features.schema import FAMILIES
from tests.support.sound.synthesis import RATE, noise

COLUMNS = {family.name: family.columns for family in FAMILIES}


def click(n_samples: int, at: int, height: float = 1.0) -> np.ndarray:
    samples = np.zeros(n_samples)
    samples[at] = height
    return samples


def tone(frequency: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(seconds * RATE)) / RATE)


EDGES = {
    "one sample": np.ones(1),
    "ten samples": noise(1.0)[:10],
    "one sample less than a hop": noise(1.0)[:159],
    "a hop": noise(1.0)[:160],
    "a window": noise(1.0)[:400],
    "one block of frames": noise(1.0)[: 63 * 160 + 159],
    "one frame more than a block": noise(1.0)[: 64 * 160],
    "digital silence": np.zeros(8000),
    "ten samples of silence": np.zeros(10),
    "constant offset": np.full(8000, 0.3),
    "negative offset": np.full(8000, -0.3),
    "offset at the edge of silence": np.full(8000, 1e-5),
    "click": click(16_000, 8000),
    "click where a window weighs it nothing": click(16_000, 7800),
    "click at the last sample of a window": click(16_000, 7799 + 400),
    "faint click": click(8000, 4000, 1e-4),
    "silence, then noise": np.concatenate([np.zeros(8000), noise(0.5)]),
    "clipped noise": np.clip(5 * noise(1.0), -1, 1),
    "noise below the floor": 1e-9 * noise(0.5),
    "noise at the floor": 1e-5 * noise(0.5),
    "pure tone": tone(1000, 1.0),
    "tone at the Nyquist frequency": (-1.0) ** np.arange(4000),
    "samples of a million": 1e6 * np.sign(tone(100, 1.0)),
    "negative zeros": np.concatenate([-np.zeros(500), noise(0.1)]),
    "samples at the edge of zero": 1e-10 * np.sign(noise(0.2)),
}


@pytest.fixture(scope="module")
def speech(saa: Path) -> list[np.ndarray]:
    """Ten recordings of ten speakers."""
    paths = sorted(saa.glob("*/wav/*.wav"))[::12]
    return [load_speech(path, AudioConfig()).normalised_N for path in paths]


def test_every_column_of_real_speech_agrees_with_the_reference(speech: list[np.ndarray]) -> None:
    ours = [spectral_frames(samples) for samples in speech]
    theirs = [reference.spectral_frames(samples) for samples in speech]
    n_frames = sum(len(families["mel"]) for families in ours)
    print(f"\n{len(speech)} recordings, {n_frames} frames\n{'column':<22}{'largest error':>15}{'share of value':>16}")
    for name in ("mel", "mfcc", "chroma", "spectral"):
        mine, expected = (np.concatenate([families[name] for families in backend]) for backend in (ours, theirs))
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(expected), err_msg=name)
        error = np.nanmax(np.abs(mine - expected), axis=0)
        share = error / np.nanmax(np.abs(expected), axis=0)
        rows = (
            zip(COLUMNS[name], error, share, strict=True) if name == "spectral" else [(name, *map(max, (error, share)))]
        )
        for column, largest, of_value in rows:
            print(f"{column:<22}{largest:>15.1e}{of_value:>16.1e}")
        # Contrast's valleys may be 1e-8 of the spectrum's peak, where the FFT's own rounding is heard.
        np.testing.assert_allclose(mine, expected, rtol=1e-9, atol=1e-6, err_msg=name)
        well_conditioned = [column for column, label in enumerate(COLUMNS[name]) if not label.startswith("contrast")]
        np.testing.assert_allclose(
            mine[:, well_conditioned], expected[:, well_conditioned], rtol=1e-9, atol=1e-10, err_msg=name
        )


@pytest.mark.parametrize("name", EDGES)
def test_sounds_at_the_edges_agree_with_the_reference(name: str) -> None:
    before = EDGES[name].copy()
    with np.errstate(all="raise", under="ignore"):
        ours = spectral_frames(EDGES[name])
    np.testing.assert_array_equal(EDGES[name], before)
    with warnings.catch_warnings():
        # librosa says that its transform is longer than the sound.
        warnings.filterwarnings("ignore", message="n_fft=512 is too large")
        theirs = reference.spectral_frames(before)
    for family in theirs:
        np.testing.assert_allclose(ours[family], theirs[family], rtol=1e-7, atol=1e-6, err_msg=family)


def test_one_frame_agrees_with_the_definitions_worked_out_by_hand(speech: list[np.ndarray]) -> None:
    frame = 120
    families = spectral_frames(speech[0])
    shape = dict(zip(COLUMNS["spectral"], families["spectral"][frame], strict=True))
    samples = speech[0][frame * 160 - 200 : frame * 160 + 200]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(400)) / 512)
    magnitude = np.abs(turns @ (samples * np.sin(np.pi * np.arange(400) / 400) ** 2))
    frequency = np.arange(257) * 31.25
    centroid = np.average(frequency, weights=magnitude)
    assert shape["centroid_hz"] == pytest.approx(centroid, rel=1e-11)
    spread = np.sqrt(np.average((frequency - centroid) ** 2, weights=magnitude))
    assert shape["bandwidth_hz"] == pytest.approx(spread, rel=1e-11)
    assert shape["rolloff_hz"] == next(
        hz for hz in frequency if magnitude[frequency <= hz].sum() >= 0.85 * magnitude.sum()
    )
    power = np.maximum(magnitude**2, 1e-10)
    assert shape["log_flatness"] == pytest.approx(np.log(power).mean() - np.log(power.mean()), rel=1e-11)
    # The contrast bands of 3200-6400 Hz (means of two) and of 800-1600 Hz, which begin one bin early and end one early.
    for column, band, count in (("contrast_5_db", magnitude[102:204], 2), ("contrast_3_db", magnitude[25:51], 1)):
        ordered = np.sort(band)
        contrast = 10 * np.log10(ordered[-count:].mean() / ordered[:count].mean())
        assert shape[column] == pytest.approx(contrast, rel=1e-9)
    assert shape["zero_crossing_rate"] == np.count_nonzero(samples[1:] * samples[:-1] < 0) / 400
    assert shape["rms_db"] == pytest.approx(10 * np.log10(np.mean(samples**2)), rel=1e-13)
    assert families["chroma"][frame].max() == 1


def test_filters_are_librosas_to_the_last_bit() -> None:
    mel = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=80, fmin=80, fmax=7600)
    np.testing.assert_array_equal(filterbanks.mel_filters(512, 80, 80.0, 7600.0), mel)
    np.testing.assert_array_equal(filterbanks.chroma_filters(512, 12), librosa.filters.chroma(sr=RATE, n_fft=512))


@pytest.mark.parametrize(
    ("n_fft", "n_bands", "from_hz", "to_hz"), [(1024, 128, 0.0, 8000.0), (2048, 40, 1200.0, 5000.0)]
)
def test_other_mel_filters_are_librosas_to_single_precision(
    n_fft: int, n_bands: int, from_hz: float, to_hz: float
) -> None:
    expected = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=n_bands, fmin=from_hz, fmax=to_hz)
    np.testing.assert_allclose(filterbanks.mel_filters(n_fft, n_bands, from_hz, to_hz), expected, rtol=1e-6, atol=1e-9)


def test_the_cosine_transform_is_scipys() -> None:
    expected = scipy.fft.dct(np.eye(80), type=2, norm="ortho", axis=0)[:20]
    np.testing.assert_allclose(cosine_transform(20, 80), expected, atol=1e-15)


def test_filters_applied_by_the_kernel_are_a_matrix_product() -> None:
    random = np.random.default_rng(0)
    weights, values = random.standard_normal((5, 23)), random.standard_normal((23, 9))
    for row, (first, after) in enumerate([(0, 23), (3, 4), (2, 7), (22, 23), (1, 22)]):
        weights[row, :first] = 0
        weights[row, after:] = 0
    sums = np.full((5, 30), 7.0)
    filterbanks.weighted_sums(values, weights, *filterbanks.nonzero_range(weights), sums, 10)
    np.testing.assert_allclose(sums[:, 10:19], weights @ values, atol=1e-13)
    assert (sums[:, :10] == 7).all() and (sums[:, 19:] == 7).all()


def test_peaks_and_valleys_are_the_ends_of_the_sorted_band() -> None:
    magnitude = np.random.default_rng(0).random((257, 50))
    magnitude[30:45] = 0.5
    bands = spectral_shape.contrast_bands(spectrum.FREQUENCY_F)
    peak, valley = np.empty((2, 7, 50))
    spectral_shape.peaks_and_valleys(magnitude, bands, peak, valley, 0)
    assert set(bands[:, 2]) == {1, 2}
    for band, (first, after, count) in enumerate(bands):
        ordered = np.sort(magnitude[first:after], axis=0)
        np.testing.assert_allclose(peak[band], ordered[-count:].mean(axis=0), rtol=1e-15)
        np.testing.assert_allclose(valley[band], ordered[:count].mean(axis=0), rtol=1e-15)


@pytest.mark.parametrize("block", [1, 7, 63, 128, 1000])
def test_the_size_of_a_block_changes_no_bit(
    block: int, speech: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = spectral_frames(speech[1])
    monkeypatch.setattr(spectrum, "BLOCK", block)
    for name, values in spectral_frames(speech[1]).items():
        np.testing.assert_array_equal(values, usual[name], err_msg=name)


def test_the_same_sound_gives_the_same_bytes(speech: list[np.ndarray]) -> None:
    once, again = spectral_frames(speech[2]), spectral_frames(speech[2].copy())
    assert {name: values.tobytes() for name, values in once.items()} == {
        name: values.tobytes() for name, values in again.items()
    }


def test_a_frame_needs_no_other_frame_before_the_recordings_peak_is_known(speech: list[np.ndarray]) -> None:
    first, n_frames = 37, 100
    samples = speech[3]
    whole = vars(spectrum.spectral_columns(samples))
    part = vars(spectrum.spectral_columns(samples[first * 160 : (first + n_frames) * 160]))
    for name, values in part.items():
        # The windows of the first two frames and the last two reach out of the part.
        expected = whole[name][..., first + 2 : first + n_frames - 2]
        np.testing.assert_array_equal(values[..., 2 : n_frames - 2], expected, err_msg=name)


def test_two_minutes_have_every_frame_of_their_parts() -> None:
    part = noise(1.0)[:16_000]
    minutes = np.tile(part, 120)
    families = spectral_frames(minutes)
    for name, values in families.items():
        assert len(values) == 12_001
        # The FFT and the sums see the same samples, wherever in the recording they are.
        np.testing.assert_array_equal(values[105:195], values[11_805:11_895], err_msg=name)
        np.testing.assert_allclose(values[105:195], spectral_frames(part)[name][5:95], rtol=1e-12, err_msg=name)


def test_each_kernel_is_compiled_for_one_set_of_types(speech: list[np.ndarray]) -> None:
    spectral_frames(speech[0])
    spectral_frames(speech[0].astype(np.float32))
    spectral_frames(np.repeat(speech[0], 2)[::2])
    kernels = [
        filterbanks.weighted_sums,
        spectrum.side_by_side,
        spectral_shape.centroid_bandwidth_rolloff,
        spectral_shape.floored_products,
        spectral_shape.peaks_and_valleys,
        spectral_shape.mean_squares,
        spectral_shape.zero_crossing_rates,
    ]
    assert [len(kernel.signatures) for kernel in kernels] == [1] * len(kernels)


def test_neither_librosa_nor_praat_nor_torch_is_imported() -> None:
    program = (
        "import sys, accent.features.kernels.spectrum\n"
        "print([name for name in ('librosa', 'parselmouth', 'torch') if name in sys.modules])"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
