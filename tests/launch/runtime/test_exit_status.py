"""What ends a program decides its exit status."""

import signal

import pytest

from accent.errors import AccentError
from launch.runtime.exit_status import ExitStatus
from launch.runtime.signals import Interrupted


def test_what_ends_a_program_decides_its_status(capsys):
    def ends_with(error: BaseException) -> int:
        with ExitStatus() as status:
            raise error
        return status.code

    with ExitStatus() as status:
        pass
    assert status.code == 0
    assert ends_with(AccentError("mend me")) == 2
    assert ends_with(Interrupted(signal.SIGINT, "saved")) == 130
    assert ends_with(Interrupted(signal.SIGTERM, "saved")) == 75
    assert ends_with(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err.splitlines()[:2] == ["accent: mend me", "accent: saved"]
    with pytest.raises(ZeroDivisionError):
        ends_with(ZeroDivisionError())
