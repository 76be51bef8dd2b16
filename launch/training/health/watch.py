"""Watches one run from a thread of its own: writes the health file, warns of stalls, has stacks written in time.

Every process has one.  The training thread only leaves the number of its steps and the time; so a step that hangs in a
collective is seen, and the health file goes on telling the truth.

Cost: a thread that wakes once a second.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from accent.errors import AccentError
from launch.run_config import MonitorConfig
from launch.runtime.agreement import Runtime
from launch.runtime.missing_ranks import process_name
from launch.runtime.signals import Interrupted
from launch.training.health.health_file import Figures, HealthFile, State
from launch.training.health.pace import Pace
from launch.training.health.rank_lag import REPEAT_SECONDS, Stragglers, lag_of_ranks
from launch.training.health.replicas import UnequalReplicasError
from launch.training.health.stacks import Stacks, place_of
from launch.training.health.stall import describe_places, hear_places, say_place
from launch.training.monitoring.rank_times import Spent

TICK_SECONDS = 1.0


class Watch:
    """A context manager around the steps of a run; the way they end is the last state of the health file.

    Args:
        run: the run's folder; None writes nothing, and still warns.
        config: how often.
        first_step: steps done before.
        total_steps: steps in the whole run.
        rows: utterances in a step.
        runtime: the processes; the first writes and prints.
        say: prints a line.

    Raises:
        AccentError: the disk refuses.
    """

    def __init__(
        self,
        run: Path | None,
        config: MonitorConfig,
        first_step: int,
        total_steps: int,
        rows: int,
        runtime: Runtime,
        say: Callable[[str], None],
    ) -> None:
        self._every, self._runtime, self._say = config.health_seconds, runtime, say
        self._several = runtime.world_size > 1
        self._file = HealthFile(run, total_steps, rows) if run is not None and runtime.is_main else None
        timeout = runtime.timeout_seconds if self._several else None
        self._stacks = None if run is None else Stacks(run, runtime.rank, timeout)
        self._step, self._pace, self._stragglers = first_step, Pace(), Stragglers()
        self._figures: Figures | None = None
        self._training_thread = threading.get_ident()
        self._life = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._write("running")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            self._write(*_end_of(error))
        except (AccentError, OSError) as refused:
            # The disk that refuses this may be what ended the run, and that is what is raised.
            self._say(f"warning: {refused}")
        if self._stacks is not None:
            self._stacks.close()

    def step_done(self, step: int) -> None:
        """Tell that a step is done, by its number, from 1."""
        self._step = step
        self._pace.step_done()
        self.alive()

    def alive(self) -> None:
        """Tell that this process is at work, in something that is no step."""
        self._life = time.monotonic()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Leave a block out of the times of steps: a validation, a checkpoint."""
        self._pace.rest()
        self.alive()
        try:
            yield
        finally:
            self._pace.go_on()
            self.alive()

    def point(self, spent: Spent, steps: int, seconds: float, loss: float, data_wait_share: float) -> None:
        """Record a point of the curves, on the first process; warn of one that is slower than the others.

        Args:
            spent: what all processes spent since the last point.
            steps: in how many steps.
            seconds: in which time.
            loss: mean over these steps.
            data_wait_share: of the time.
        """
        lag_R = lag_of_ranks(spent.parts, spent.seconds_RP, steps, self._runtime.zero_stage)
        on_gpu = bool(spent.gpu_gib_R.any())
        self._figures = Figures(
            loss,
            data_wait_share,
            spent.memory_gib_R.tolist(),
            spent.gpu_gib_R.tolist() if on_gpu else None,
            lag_R.tolist() if self._several else None,
        )
        slow = self._stragglers.look(lag_R, seconds / steps, time.monotonic()) if self._several else None
        if slow is not None:
            rank, lag = slow
            self._say(
                f"warning: step {self._step}: {process_name(rank)} takes {1000 * lag:.0f} ms a step longer than the "
                f"others, who wait for it: {lag * steps / seconds:.0%} of the time"
            )

    def _work(self) -> None:
        written = said = told_trouble = time.monotonic()
        told_trouble -= REPEAT_SECONDS
        armed, said_step = 0.0, -1
        while not self._ended.wait(TICK_SECONDS):
            now = time.monotonic()
            if self._stacks is not None and self._life != armed:
                armed = self._life
                self._stacks.wait_for_life(armed)
            if self._pace.stalled and (self._step != said_step or now - said > REPEAT_SECONDS):
                said, said_step = now, self._step
                self._stalled()
            if self._file is not None and now - written >= self._every:
                written = now
                try:
                    self._write("running")
                except (AccentError, OSError) as error:
                    if now - told_trouble >= REPEAT_SECONDS:
                        told_trouble = now
                        self._say(f"warning: {error}")

    def _stalled(self) -> None:
        step, seconds = self._step, self._pace.running_seconds
        place, usual = place_of(self._training_thread), self._pace.usual_seconds or 0.0
        what = f"step {step + 1} has taken {seconds:.0f} s, and usually takes {usual:.2g} s"
        if self._stacks is not None:
            self._stacks.write(what)
        if self._several:
            say_place(step, place)
        if self._runtime.is_main:
            places = hear_places(step) if self._several else {0: place}
            stacks = "" if self._stacks is None else f"; stacks of all threads: {self._stacks.path.parent}"
            self._say(f"warning: {what}: {describe_places(places)}{stacks}")

    def _write(self, state: State, line: str | None = None, restart: bool = False) -> None:
        if self._file is not None:
            pace = self._pace
            self._file.write(
                state, self._step, pace.steps_per_second, pace.running_seconds, self._figures, line, restart
            )


def _end_of(error: BaseException | None) -> tuple[State, str | None, bool]:
    """Return state and line of a run that ended so, and whether starting it again may get further."""
    if error is None:
        return "finished", None, False
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if isinstance(error, Interrupted):
        return ("preempted", line, True) if error.number == signal.SIGTERM else ("interrupted", line, False)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", line, False
    # A fault that the user has to mend would only come again; memory that is spent, a time-out or a sick GPU need not.
    mended_by_user = isinstance(error, AccentError) and not isinstance(error, UnequalReplicasError)
    return "failed", line if mended_by_user else f"{type(error).__name__}: {line}", not mended_by_user
