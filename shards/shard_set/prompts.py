"""The names of a shard set's prompts where they are many, as in spontaneous speech: a file beside the index.

A line of the file is one name as JSON; the names are sorted.  Opened, it is a sequence: mapped, its lines found when
the first name is asked for, and a name made when it is asked for.  Up to `MOST_IN_MANIFEST` names stand in the manifest
itself.

Cost: 20 bytes of disk a name; the first look-up goes through the file once (1 s for ten million names) and keeps 4 or 8
bytes a name.
"""

import json
import mmap
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from accent.errors import AccentError
from accent.grouped import compact

PROMPTS_NAME = "prompts.jsonl"
MOST_IN_MANIFEST = 10_000
_BLOCK_BYTES = 1 << 24
_END_OF_LINE = 10


class PromptFile(Sequence[str]):
    """The names in a file of prompts, sorted.

    Args:
        data: the content of the file, mapped or read.
        count: how many names it has.
        where: its name, for messages.
    """

    def __init__(self, data: bytes | mmap.mmap, count: int, where: str) -> None:
        self._data, self._count, self._where = data, count, where

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self._count))]
        if not -self._count <= at < self._count:
            raise IndexError(f"prompt {at} of {self._count}")
        begin, end = self._starts[at % self._count : at % self._count + 2].tolist()
        return self._name(self._data[begin:end])

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        begin = 0
        for _ in range(self._count):
            end = self._data.find(b"\n", begin) + 1
            yield self._name(self._data[begin:end])
            begin = end

    @cached_property
    def _starts(self) -> NDArray[np.integer]:
        """Where each line begins, and where the last one ends."""
        ends = [np.zeros(1, np.int64)]
        for begin in range(0, len(self._data), _BLOCK_BYTES):
            block = np.frombuffer(self._data[begin : begin + _BLOCK_BYTES], np.uint8)
            ends.append(np.flatnonzero(block == _END_OF_LINE) + begin + 1)
        starts = compact(np.concatenate(ends))
        if len(starts) != self._count + 1:
            raise AccentError(f"{self._where}: not the manifest's {self._count} prompts; featurize the corpus again")
        return starts

    def _name(self, line: bytes) -> str:
        try:
            name = json.loads(line)
        except ValueError as error:
            raise AccentError(f"{self._where}: not a list of prompts ({error}); featurize the corpus again") from error
        if not isinstance(name, str):
            raise AccentError(f"{self._where}: a prompt is no text; featurize the corpus again")
        return name


def prompt_lines(names: Iterable[str]) -> bytes:
    """Return the content of a file of prompts.

    Args:
        names: sorted.
    """
    return b"".join(json.dumps(name).encode() + b"\n" for name in names)
