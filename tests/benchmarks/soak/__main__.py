"""`python -m tests.benchmarks.soak`: see `tests.benchmarks.soak.long_run`."""

import typer

from tests.benchmarks.soak.long_run import main

typer.run(main)
