"""Fixtures of the tests of applications."""

from collections.abc import Callable

import pytest


@pytest.fixture
def accent(accent: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Run the command with these words; return its status and the lines that it printed on stdout and stderr."""

    def run(*words: object, stdin: bytes = b"") -> tuple[int, list[str], list[str]]:
        status, printed, errors = accent(*words, stdin=stdin)
        return status, printed.splitlines(), errors.splitlines()

    return run
