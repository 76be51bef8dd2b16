"""Kinds of processors write the same bytes: the corpus is featurized by code compiled for this one and an older one."""

import hashlib
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.support.sound.vowel_corpus import make_vowel_corpus

FEATURIZE = """
import sys
from shards.writing.processor import FeatureProcessor
if __name__ == "__main__":
    FeatureProcessor(sys.argv[1], sys.argv[2], workers=1).process_dataset()
"""


def _featurized(corpus: Path, folder: Path, processor: dict[str, str]) -> dict[str, str]:
    program = folder.with_suffix(".py")
    program.write_text(FEATURIZE)
    cache = {"NUMBA_CACHE_DIR": str(folder.with_suffix(".cache")), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(
        [sys.executable, str(program), str(corpus), str(folder)], env={**os.environ, **cache, **processor}, check=True
    )
    names = ("index.npy", "statistics.npz", "shard-000000.tar")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="asks for code of another processor of the same family")
def test_shards_index_and_statistics_are_the_same_on_two_kinds_of_processors(tmp_path: Path) -> None:
    corpus = make_vowel_corpus(tmp_path / "corpus", {"O1": "Open", "C1": "Close"}, 2)
    here = _featurized(corpus, tmp_path / "here", {})
    older = {"NUMBA_CPU_NAME": "nehalem", "NUMBA_CPU_FEATURES": "+sse4.2"}
    assert _featurized(corpus, tmp_path / "older", older) == here
