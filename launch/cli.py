"""The command `accent`: runs `launch.commands.app` and turns what ends it into one line and a status.

A fault the user can mend is one line on stderr and status 2 (the traceback only with --debug), Ctrl-C is status 130.
"""

import io
import sys
import traceback

from accent.errors import AccentError
from launch.commands.app import app
from launch.missing_extra import how_to_install
from launch.terminal import complain, show_controls_in_logs

INTERRUPTED = 130

__all__ = ["app", "main"]


def main() -> None:
    """Run `accent` on the arguments of the command line, and exit with its status."""
    words = [word for word in sys.argv[1:] if word != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a name shows its escapes.
        sys.stdout.reconfigure(errors="backslashreplace")
    show_controls_in_logs()
    try:
        app(words, prog_name="accent")
    except AccentError as error:
        if len(words) < len(sys.argv) - 1:
            traceback.print_exc()
        complain(f"accent: {error}")
        sys.exit(2)
    except ModuleNotFoundError as error:
        line = how_to_install(error)
        if line is None:
            raise
        complain(f"accent: {line}")
        sys.exit(2)
    except SystemExit as leaving:
        if leaving.code == INTERRUPTED:
            print(
                "accent: interrupted; what was finished before is whole; rerun the same command to resume",
                file=sys.stderr,
            )
        raise


if __name__ == "__main__":
    main()
