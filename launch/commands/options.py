"""Options and output that several commands share."""

from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Values that replace those of the configuration.", show_default=False),
]


def show(*renderables: object) -> None:
    """Print tables and text to the terminal."""
    from launch.terminal import TerminalConsole

    TerminalConsole().print(*renderables)
