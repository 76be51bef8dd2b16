"""Names of strangers cannot move the cursor, hide a line or set a title: control characters are shown."""

import io
import json
import logging
import sys

import pytest
from rich.progress import track
from rich.table import Table
from rich.text import Text

from accent.errors import AccentError
from accent.shown import shown
from launch import cli
from launch.applications.answers import Answers
from launch.terminal import TerminalConsole, show_controls_in_logs
from shards.shard_set.manifest import Refused
from shards.shard_set.summary import refused_table

HOSTILE = "a\x1b[2J\x1b]0;title\x07b\r\x9b31mc\u202ed\x7f"


def _obeyed(text: str) -> bool:
    return any(character in text for character in "\x1b\x07\r\x9b\u202e\x7f")


def test_every_control_character_is_shown_and_nothing_else_changes():
    controls = [chr(code) for code in (*range(32), *range(0x7F, 0xA0), 0x202E, 0x2066) if chr(code) not in "\n\t"]
    for one in controls:
        assert shown(f"a{one}b") == f"a\\u{ord(one):04x}b"
    plain = "naïve Zoë 语音 \t[bold]\n'\\"
    assert shown(plain) == plain == shown(shown(plain))


def test_a_console_shows_the_controls_of_names_in_text_and_tables_and_keeps_its_own_colours():
    file = io.StringIO()
    console = TerminalConsole(file=file, force_terminal=True, color_system="standard", width=200, highlight=False)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console.print(table, Text(HOSTILE, style="red"), HOSTILE, refused_table([Refused(HOSTILE, HOSTILE)]))
    printed = file.getvalue()
    assert "\x1b[31m" in printed  # red, which is ours
    assert "\x1b[2J" not in printed and "\x1b]0;" not in printed
    assert not _obeyed(printed.replace("\x1b[", ""))
    # Text and titles: rich leaves bells and carriage returns out.
    assert printed.count("a\\u001b[2J\\u001b]0;titleb\\u009b31mc\\u202ed\\u007f") == 3
    # Refused inputs are written out before their table is laid out; rich crops cells that become longer afterwards.
    assert printed.count("a\\u001b[2J\\u001b]0;title\\u0007b\\u000d\\u009b31mc\\u202ed\\u007f") == 2


def test_a_progress_bar_is_still_drawn():
    file = io.StringIO()
    console = TerminalConsole(file=file, force_terminal=True, width=80)
    assert list(track(range(3), "work", console=console)) == [0, 1, 2]
    assert "\x1b[" in file.getvalue() and "\\u001b" not in file.getvalue()


def test_errors_answers_and_logs_show_the_controls_of_names(capsys, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise AccentError(f"{HOSTILE}: no such file")

    monkeypatch.setattr(cli, "app", fail)
    monkeypatch.setattr(sys, "argv", ["accent", "inspect", "x"])
    factory = logging.getLogRecordFactory()
    try:
        with pytest.raises(SystemExit):
            cli.main()
        show_controls_in_logs()
        record = logging.getLogger("x").makeRecord("x", logging.WARNING, "f", 1, "%s", (HOSTILE,), None)
        assert not _obeyed(record.getMessage())
    finally:
        logging.setLogRecordFactory(factory)
    for as_json in (False, True):
        answers = Answers(as_json)
        answers.give(HOSTILE, {"input": HOSTILE})
        answers.refuse(HOSTILE, HOSTILE)
    out, err = capsys.readouterr()
    assert not _obeyed(out) and not _obeyed(err)
    assert json.loads(out.splitlines()[-1])["input"] == HOSTILE
