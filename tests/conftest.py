"""Fixtures every room's tests may use."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.made_once import made_once

REPOSITORY = Path(__file__).resolve().parents[1]

# No test fails because the machine is slow: hypothesis would give each example 200 ms, and itself as much to make one.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def _real_speech(name: str) -> Path:
    folder = REPOSITORY.parent / "shared" / "data" / name
    if not folder.is_dir():
        pytest.skip(f"real speech not found: {folder}")
    return folder


@pytest.fixture(scope="session")
def saa() -> Path:
    """Twenty speakers of five accents, six utterances each, in L2-ARCTIC's layout (Speech Accent Archive)."""
    return _real_speech("saa")


@pytest.fixture(scope="session")
def speechocean() -> Path:
    """Sixty-four Mandarin speakers of English, twenty utterances each (speechocean762)."""
    return _real_speech("speechocean")


@pytest.fixture(scope="session")
def saa8k() -> Path:
    """241 speakers of eight accents at 8 kHz, six utterances each, with TextGrids (Speech Accent Archive)."""
    return _real_speech("saa8k")


@pytest.fixture(scope="session")
def saa_shards(saa: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shards of twelve speakers of three accents of `saa`; the other two accents are never trained on."""
    from tests.support.training.speech_runs import speech_shards

    return made_once(tmp_path_factory, "saa-shards", lambda folder: speech_shards(saa, folder))


@pytest.fixture(scope="session")
def saa_run(saa_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated run of the branch `frames` on `saa_shards`."""
    from tests.support.training.speech_runs import FRAMES, calibrated_run

    return made_once(tmp_path_factory, "saa-frames", lambda run: calibrated_run(FRAMES, saa_shards, run))


@pytest.fixture(scope="session")
def saa_phones_run(saa_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated run of the branch `phones` on `saa_shards`."""
    from tests.support.training.speech_runs import PHONES, calibrated_run

    return made_once(tmp_path_factory, "saa-phones", lambda run: calibrated_run(PHONES, saa_shards, run))


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT as in a foreground shell, for this process and those it starts.

    A shell starts a command in the background with SIGINT ignored; that is inherited, and Python leaves it so.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
