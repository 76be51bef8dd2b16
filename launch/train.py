"""The training program, for the shell: one process or many.

    python -m launch.train configs/demo.yaml [key=value ...]
    accelerate launch --config_file configs/accelerate/cpu.yaml -m launch.train configs/demo.yaml [key=value ...]

Status 0: trained; 2: a fault to mend, told in one line; 75: stopped by SIGTERM, saved; 130: by Ctrl-C, saved.
`accelerate launch` and torchrun turn every status but 0 into 1, and print a report of their own after our line.
Cost: the imports take about 5 s; then steps (`launch.training.trainer`).
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import NoReturn

from accent.errors import AccentError
from launch.missing_extra import how_to_install
from launch.runtime.launcher_watch import end_with_launcher
from launch.runtime.signals import StopRequest


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise AccentError(f"{message}; usage: CONFIG [key=value ...] [--debug], as in configs/demo.yaml epochs=10")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as a configuration file says.

    Args:
        arguments: CONFIG and words `key=value`; those of the command line if left out.

    Returns:
        The status to exit with.
    """
    from accent.configuration import load
    from launch.run_config import RunConfig, find_config
    from launch.runtime.exit_status import ExitStatus
    from launch.training.run import train_run

    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _Parser(prog="launch.train", description="Train an accent encoder.")
    parser.add_argument("config", help="a YAML file, yours or one that comes with the package: configs/demo.yaml")
    parser.add_argument(
        "overrides", nargs="*", default=[], metavar="key=value", help="for instance epochs=10 optimizer.lr=3e-4"
    )
    parser.add_argument("--debug", action="store_true", help="show tracebacks (also: ACCENT_DEBUG=1)")

    with ExitStatus("--debug" in arguments or os.environ.get("ACCENT_DEBUG", "") not in ("", "0")) as status:
        given = parser.parse_intermixed_args(arguments)
        config = load(RunConfig, find_config(given.config), given.overrides)
        result = train_run(config)
        if int(os.environ.get("RANK", "0")) == 0:
            best = "" if result.best is None else f"; best validation {result.best:.3f} at step {result.best_step}"
            print(f"trained {result.step} steps{best}; the model is in {Path(config.run) / 'model'}", flush=True)
    return status.code


def _interrupted_early(number: int, frame: FrameType | None) -> None:
    if os.environ.get("RANK", "0") == "0":
        # Not by print: what was interrupted may be writing to the same buffer.
        os.write(2, b"accent: interrupted before anything began\n")
    os._exit(128 + number)


if __name__ == "__main__":
    # A SIGTERM is remembered from here on: the training saves what there is and asks to be resumed.  The
    # imports take seconds, and a Ctrl-C in them would end in a traceback of theirs.
    with StopRequest((signal.SIGTERM,)):
        end_with_launcher()
        signal.signal(signal.SIGINT, _interrupted_early)
        try:
            import_module("launch.training.run")
        except ModuleNotFoundError as error:
            line = how_to_install(error)
            if line is None:
                raise
            print(f"accent: {line}", file=sys.stderr)
            sys.exit(2)
        leave = import_module("launch.runtime.exit_status").leave
        signal.signal(signal.SIGINT, signal.default_int_handler)
        leave(main())
