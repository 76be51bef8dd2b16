"""Which shards are this machine's, where several machines fill one folder.  Cost: none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Partition:
    """Part `number` of `count`: every `count`-th shard, beginning with shard `number - 1`.

    >>> part = Partition.parse("2/3")
    >>> list(part.of(8)), str(part)
    ([1, 4, 7], '2/3')
    """

    number: int = 1
    """From 1 to `count`."""
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ValueError(f"part {self.number} of {self.count} does not exist; parts are counted from 1")

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """Read `K/N`.

        Raises:
            ValueError: it is no part.
        """
        first, slash, last = text.partition("/")
        if not (slash and first.isdecimal() and last.isdecimal()):
            raise ValueError("not of the form K/N, such as 3/16")
        return cls(int(first), int(last))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def is_everything(self) -> bool:
        """Whether there are no other parts."""
        return self.count == 1

    def of(self, shards: int) -> range:
        """Return the numbers of its shards in a set of so many."""
        return range(self.number - 1, shards, self.count)
