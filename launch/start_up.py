"""What makes a command start fast: garbage collection waits until the modules are there.

Importing torch and numba makes some million objects, none of them garbage; collections among them take a sixth of the
processor time of the import.  Cost: none.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Put off the collection of reference cycles in a block that imports; what is there at its end is never searched.

    Not searching it keeps later collections short, too.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()
