from collections import Counter
from collections.abc import Iterator

import numpy as np

from shards.streaming.remote_shard_set import RemoteShardSet, stream_shard
from shards.streaming.shuffle_buffer import PairBuffer, streamed_batches


def test_nothing_stays_in_the_buffer_for_ever(piped: RemoteShardSet) -> None:
    samples = [one for shard in range(10) for one in stream_shard(piped, shard)]
    entered, capacity = list[int](), 20

    def stream() -> Iterator:
        while True:
            for sample in samples:
                entered.append(sample.number)
                yield sample

    buffer = PairBuffer(stream(), piped.index, capacity, np.random.default_rng(0))
    left = [one.number for _ in range(1000) for one in buffer.take(3)]
    assert len(entered) == len(left) + capacity
    # The n-th time a sample leaves is the n-th time it entered.
    came, went = dict[int, list[int]](), dict[int, list[int]]()
    for place, number in enumerate(entered):
        came.setdefault(number, []).append(place)
    for place, number in enumerate(left):
        went.setdefault(number, []).append(place)
    waits = [out + capacity - into for number in went for into, out in zip(came[number], went[number], strict=False)]
    assert min(waits) >= 1
    assert max(waits) <= 6 * capacity + 2
    assert Counter(entered) - Counter(left) == Counter(one.number for one in buffer._held)


def test_an_evaluation_plan_is_a_partition_for_streams_of_any_length() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        frames_N = generator.integers(1, 300, int(generator.integers(1, 60)))
        world_size, buffer = int(generator.integers(1, 6)), int(generator.integers(1, 20))
        dealt = generator.integers(0, world_size, len(frames_N))
        streams = [np.flatnonzero(dealt == rank) for rank in range(world_size)]
        plan = streamed_batches(streams, frames_N, 400, buffer)
        for rank, stream in enumerate(streams):
            mine = np.concatenate([batch[rank] for _, batch in plan])
            assert sorted(mine[mine >= 0]) == stream.tolist()
        for chunk, batch in plan:
            assert batch.shape[1] == 1 or batch.shape[1] * frames_N[batch[batch >= 0]].max() <= 400
            for rank, stream in enumerate(streams):
                assert set(batch[rank][batch[rank] >= 0]) <= set(stream[chunk * buffer : (chunk + 1) * buffer])
