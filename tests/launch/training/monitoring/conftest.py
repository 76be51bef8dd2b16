"""What the tests of monitoring read runs with."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


@pytest.fixture(scope="session")
def read_curves() -> Callable[[Path], EventAccumulator]:
    """TensorBoard's own reader, on a run folder; it keeps every event."""

    def read(run: Path) -> EventAccumulator:
        keep_all = dict.fromkeys(("scalars", "images", "histograms", "tensors"), 0)
        return EventAccumulator(str(run / "tensorboard"), size_guidance=keep_all).Reload()

    return read
