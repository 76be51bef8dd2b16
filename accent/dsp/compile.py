"""How kernels are compiled: once, without the interpreter's lock, kept on disk where the disk allows it.

Compiling all of them takes half a minute; a cached kernel loads in milliseconds.  numba keeps them beside the source
(`__pycache__`), in its own folder under the home directory, or where `NUMBA_CACHE_DIR` says.  Where none of these can
be written, kernels are compiled anew in each process: slower to start, nothing else.

No kernel starts threads: N processes are N cores.
"""

import contextlib
import functools
import hashlib
import logging
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching

Function = TypeVar("Function", bound=Callable[..., Any])

_logger = logging.getLogger(__name__)

REORDERING = frozenset({"reassoc", "contract", "arcp", "nsz"})
"""What `fastmath` may assume: sums may be reordered and multiplications fused; NaN and infinity keep their meaning."""


class _ForgivingCache(caching.FunctionCache):
    """A cache on disk whose failures cost time and nothing else.

    numba itself compiles anew when the kernel's own file has changed, but not when a kernel that it calls has, if that
    lives in another file: hence the hash of all of them in the key.
    """

    def _index_key(self, signature: Any, codegen: Any) -> Any:
        return (*super()._index_key(signature, codegen), _hash_of_all_kernels())

    def _load_overload(self, signature: Any, target_context: Any) -> Any:
        try:
            return super()._load_overload(signature, target_context)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            _logger.debug("a damaged cache is begun anew: %s", error)
            with contextlib.suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature: Any, data: Any) -> None:
        try:
            super().save_overload(signature, data)
        except OSError as error:
            _logger.debug("compiled, but not kept: %s", error)


@functools.cache
def _hash_of_all_kernels() -> str:
    dsp = Path(__file__).parent
    kernels = dsp.parent / "features" / "kernels"
    sources = [*sorted(dsp.glob("*.py")), *sorted(kernels.glob("*.py")), dsp.parent / "grid.py"]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()


def kernel(function: Function | None = None, *, reorder: bool = False) -> Any:
    """Compile a function with numba when it is first called; to be used as a decorator.

    Args:
        function: the function, in the part of Python and NumPy that numba compiles.
        reorder: let the compiler reorder sums, so that it can use wide registers; the last digits then depend on the
            processor.

    Returns:
        The compiled function.

    >>> @kernel(reorder=True)
    ... def total(values_N):
    ...     result = 0.0
    ...     for value in values_N:
    ...         result += value
    ...     return result
    >>> import numpy as np
    >>> total(np.arange(4.0))
    6.0
    """
    if function is None:
        return lambda wrapped: kernel(wrapped, reorder=reorder)
    compiled = numba.njit(nogil=True, error_model="numpy", fastmath=set(REORDERING) if reorder else False)(function)
    try:
        compiled._cache = _ForgivingCache(function)
    except RuntimeError as error:
        # numba found no place that it may write to.
        _logger.debug("%s: will not be kept on disk (%s)", function.__qualname__, error)
    return compiled
