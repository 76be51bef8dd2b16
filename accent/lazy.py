"""Names that a package offers without importing their modules before someone asks.

A featurizer's worker processes import `accent.features` and must not pay for torch; the command line must answer at
once.  Cost: nothing until the first use of a name, then that module's import.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Return a package's module-level `__getattr__` and its `__all__`.

    Args:
        package: the package's name, for the error.
        homes: exported name -> module it lives in.

    Example:
        >>> __getattr__, __all__ = lazy("accent", {"AccentError": "accent.errors"})
        >>> __getattr__("AccentError").__name__
        'AccentError'
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        return getattr(import_module(homes[name]), name)

    return find, sorted(homes)
