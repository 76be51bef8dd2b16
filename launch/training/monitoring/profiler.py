"""What some steps of a run spend their time on, kernel by kernel: `monitor.profile=20..30`.

torch.profiler records the first process, and writes into the folder `profile` of the run a trace for
https://ui.perfetto.dev or chrome://tracing, and a table of the dearest operations.  Cost: nothing outside these steps;
in them a step takes longer, and the trace has some 3 MB a step.
"""

from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from accent.errors import AccentError
from accent.files import temporary_name, writable_folder, write_text
from launch.run_config import profiled_steps

FOLDER = "profile"
ROWS = 40
"""Operations in the table."""


class Profiler:
    """Records the steps that a configuration names.

    Args:
        steps: first and last, as in "20..30".
        run: the run's folder.
    """

    def __init__(self, steps: str, run: Path) -> None:
        self.first, self.last = profiled_steps(steps)
        self.folder = run / FOLDER
        self._profile: profile | None = None
        self._begun = 0

    def before(self, step: int) -> None:
        """Begin to record, if a step is one of those asked for; a resumed run may begin in their midst.

        Args:
            step: number of the step that comes, from 1.
        """
        if self._profile is None and self.first <= step <= self.last:
            activities = [ProfilerActivity.CPU]
            if torch.cuda.is_available():
                activities.append(ProfilerActivity.CUDA)
            self._profile, self._begun = profile(activities=activities, acc_events=True), step
            self._profile.start()

    def after(self, step: int) -> Path | None:
        """Write the trace, if a step is the last of those asked for.

        Args:
            step: number of the step that is done.

        Returns:
            The trace, if it was written.

        Raises:
            AccentError: it cannot be written.
        """
        return self.stop(step) if self._profile is not None and step >= self.last else None

    def stop(self, step: int) -> Path | None:
        """End recording wherever it is, and write what there is; does nothing if nothing is recorded.

        Args:
            step: number of the last step done.

        Returns:
            The trace, if something was recorded.

        Raises:
            AccentError: it cannot be written.
        """
        if self._profile is None:
            return None
        recorded, self._profile = self._profile, None
        recorded.stop()
        writable_folder(self.folder)
        name = f"steps_{self._begun:06d}_{step:06d}"
        trace = self.folder / f"{name}.json"
        unfinished = temporary_name(trace)
        try:
            recorded.export_chrome_trace(str(unfinished))
            unfinished.replace(trace)
        except (OSError, RuntimeError) as error:
            raise AccentError(f"{trace}: cannot be written ({error}); check free space and permissions") from error
        by = "self_cuda_time_total" if torch.cuda.is_available() else "self_cpu_time_total"
        write_text(self.folder / f"{name}.txt", recorded.key_averages().table(sort_by=by, row_limit=ROWS))
        return trace
