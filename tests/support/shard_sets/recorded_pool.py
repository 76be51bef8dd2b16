"""Stands in for the pool of worker processes: no process is started, and each input is computed once."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shards.writing import processor as featurize


def use_recorded_results(monkeypatch: pytest.MonkeyPatch, results: dict[str, Any]) -> None:
    """Let the featurizer take what it needs from `results` by key, and compute into it what is not there yet."""

    class RecordedPool:
        def __init__(self, function: Callable[[Any], Any], *_: object, **__: object) -> None:
            self.function = function

        def __enter__(self) -> "RecordedPool":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def in_order(
            self, blocks: Iterable[Any], name: object, footprint: object, done: Callable[[Any], None]
        ) -> Iterator[tuple[Any, Any]]:
            for task in itertools.chain.from_iterable(blocks):
                if task.key not in results:
                    results[task.key] = self.function(task)
                done(results[task.key])
                yield task, results[task.key]

    monkeypatch.setattr(featurize, "WorkerPool", RecordedPool)
    monkeypatch.setattr(featurize, "prepare", lambda _: None)


def hashes(folder: Path) -> dict[str, str]:
    """Return the sha256 of every file in a folder, by its path there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
