"""How much memory a computation holds, counted tensor by tensor: exact, and the same on every machine.

Counted are the storages made while the counter is open, each from its creation to its end.  What an operator allocates
and frees inside itself is not seen.
"""

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors made inside the `with` block that are alive, and their peak.

    Args:
        existing: tensors from before, whose views are not counted.
    """

    def __init__(self, existing: list[Tensor]) -> None:
        super().__init__()
        self._existing = {one.untyped_storage()._cdata for one in existing}
        self._alive: dict[int, int] = {}
        self.now = self.peak = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for one in tree_iter(result):
            if isinstance(one, Tensor):
                self._count(one.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        place = storage._cdata
        if place not in self._existing and place not in self._alive:
            self._alive[place] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._end, place)

    def _end(self, place: int) -> None:
        self.now -= self._alive.pop(place)
