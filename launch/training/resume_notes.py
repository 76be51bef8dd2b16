"""What resuming means where length or precision differ from those of the checkpoint, in lines.  Cost: none."""

from launch.run_config import TrainingConfig
from launch.runtime.agreement import Runtime
from launch.training.optimizer import learning_rate
from launch.training.saved_state import Progress


def resume_notes(progress: Progress, total_steps: int, training: TrainingConfig, runtime: Runtime) -> list[str]:
    """Return the lines that a resumed run prints.

    Args:
        progress: of the checkpoint.
        total_steps: of the run as it is asked for now.
        training: how it trains now.
        runtime: the processes, with the precision of now.
    """
    done, total, planned = progress.step, total_steps, progress.total_steps or total_steps
    notes = [f"resuming at step {done} of {total}"]
    if done >= total:
        more = "raise epochs to train on" if done == total else f"epochs={training.epochs} asks for {total}"
        notes = [f"nothing left to train: {done} steps are done; {more}"]
    elif total != planned:
        before, now = (learning_rate(done, steps, training.optimizer) for steps in (planned, total))
        notes.append(
            f"the run was planned for {planned} steps and now has {total}: the learning rate follows the new plan, "
            f"{now:.2g} at the next step instead of {before:.2g}"
        )
    if progress.precision not in ("", runtime.precision_name):
        notes.append(
            f"warning: precision was {progress.precision} and is {runtime.precision_name} now; "
            "the weights will differ from those of an uninterrupted run"
        )
    return notes
