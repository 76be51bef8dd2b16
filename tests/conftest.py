"""Fixtures every room's tests may use."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


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
    """Two hundred and forty-one speakers of eight accents at 8 kHz, six utterances each (Speech Accent Archive)."""
    return _real_speech("saa8k")
