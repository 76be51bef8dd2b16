"""Read files that lie elsewhere: over http, from s3, or out of a command; all waits have an end.

A folder elsewhere is an address:

    http://host/shards, https://host/shards     files below it
    s3://bucket/shards                          through `aws s3 cp ADDRESS -`, with whatever credentials that finds
    pipe:ssh host cat /folder/{}                any command; {} is the name of the file

webdataset's own opening is not used: its curl waits for ever where a transfer stalls, and closing one of its commands
waits for two hours.  Here no wait is longer than `STALLED_SECONDS`, a command that is no longer wanted is ended, and a
failure is retried, `ATTEMPTS` times in all and with a line in the log, before it is an error.

Cost: a request or a process a file.
"""

import http.client
import io
import logging
import os
import select
import shlex
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from accent.errors import AccentError
from shards.shard_set.files import is_plain_name

STALLED_SECONDS = 30.0
"""How long nothing at all may come before a transfer counts as broken."""
ATTEMPTS = 4
"""How often a file is tried before its failure is an error."""
WAIT_SECONDS = 1.0
"""Wait before the second attempt; it doubles from one to the next."""

_SCHEMES = ("http://", "https://", "s3://", "pipe:")
_BUFFER_BYTES = 1 << 20
_MAY_PASS = (408, 425, 429)
"""Refusals (4xx) that another attempt may not meet: too slow, too early, too many requests."""

_FAULTS = (OSError, http.client.HTTPException)

_logger = logging.getLogger(__name__)


class TransferError(OSError):
    """A file could not be opened, or did not come whole."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        # webdataset adds words of its own to the arguments of whatever passes through it.
        return self.reason


class RefusedError(TransferError):
    """The server answers that it will not give the file, and would answer so again."""


def is_remote(address: str) -> bool:
    """Tell an address from a path.

    Example:
        >>> is_remote("s3://bucket/shards"), is_remote("work/shards")
        (True, False)
    """
    return address.startswith(_SCHEMES)


class Attempts:
    """Counts the failures of one file; the last one is an error.

    Args:
        where: address of the file, for the lines.
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._failures = 0

    def failed(self, error: TransferError) -> None:
        """Note a failure and wait before the next attempt.

        Raises:
            AccentError: it was the last attempt, or another would fail as well.
        """
        self._failures += 1
        if isinstance(error, RefusedError):
            raise AccentError(f"{self.where}: cannot be read ({error}); check the address") from error
        if self._failures >= ATTEMPTS:
            raise AccentError(
                f"{self.where}: cannot be read ({error}), tried {self._failures} times; "
                "check the server and the connection"
            ) from error
        wait = WAIT_SECONDS * 2 ** (self._failures - 1)
        _logger.warning("%s: %s; trying again in %g s (%d of %d)", self.where, error, wait, self._failures, ATTEMPTS)
        time.sleep(wait)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder elsewhere.

    Example:
        >>> RemoteFolder("http://host/shards/").address_of("manifest.json")
        'http://host/shards/manifest.json'
        >>> RemoteFolder("pipe:ssh host cat /data/{}").address_of("index.npy")
        'pipe:ssh host cat /data/index.npy'
    """

    address: str

    def __post_init__(self) -> None:
        if not is_remote(self.address):
            raise AccentError(f"{self.address}: not an address; it begins with one of {', '.join(_SCHEMES)}")
        if self.address.startswith("pipe:") and "{}" not in self.address:
            raise AccentError(
                f"{self.address}: the command does not say where the name of a file goes; "
                "write {} there, as in pipe:ssh host cat /folder/{}"
            )

    def address_of(self, name: str) -> str:
        """Return the address of a file.

        Args:
            name: a plain name (`is_plain_name`): it may come from elsewhere and reach a shell, here and, behind `ssh`,
                a second one, so that quoting it once would not do.

        Raises:
            AccentError: not a plain name.
        """
        if not is_plain_name(name):
            raise AccentError(f"{self.address}: {name!a} is not the plain name of a file; do not use this set")
        if self.address.startswith("pipe:"):
            return self.address.replace("{}", name)
        return f"{self.address.rstrip('/')}/{name}"

    def open(self, name: str) -> "RemoteFile":
        """Open a file once, for reading from its start.

        Raises:
            TransferError: it cannot be opened, now or (`RefusedError`) ever.
        """
        address = self.address_of(name)
        try:
            if address.startswith("http"):
                return RemoteFile(_Response(address))
            if address.startswith("s3://"):
                return RemoteFile(_Command(f"aws s3 cp --only-show-errors {shlex.quote(address)} -"))
            return RemoteFile(_Command(address.removeprefix("pipe:")))
        except urllib.error.HTTPError as error:
            error.close()
            permanent = 400 <= error.code < 500 and error.code not in _MAY_PASS
            kind = RefusedError if permanent else TransferError
            raise kind(f"the server says {error.code} {error.reason}") from error
        except _FAULTS as error:
            raise _broken(error) from error

    def fetch(self, name: str) -> bytes:
        """Read a small file whole.

        Raises:
            AccentError: it cannot be read, after `ATTEMPTS` attempts.
        """
        attempts = Attempts(self.address_of(name))
        while True:
            try:
                with self.open(name) as stream:
                    return stream.read()
            except TransferError as error:
                attempts.failed(error)


class _Source(io.RawIOBase):
    """Bytes as they arrive, counted."""

    received = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._receive(buffer)
        except _FAULTS as error:
            raise _broken(error) from error
        self.received += count
        return count

    def _receive(self, buffer: Any) -> int:
        """Wait for bytes, put them into a buffer and return their number; 0 at the end."""
        raise NotImplementedError


class RemoteFile(io.BufferedReader):
    """A stream that can only be read onward; closing it ends the transfer.

    Reading raises `TransferError` where the transfer breaks, so that an end without one is the file's own end.
    """

    raw: _Source

    @property
    def received(self) -> int:
        """Bytes that have arrived so far, read from here or not yet."""
        return self.raw.received

    def __init__(self, source: _Source) -> None:
        super().__init__(source, _BUFFER_BYTES)


class _Response(_Source):
    """The answer to a GET."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._response = urllib.request.urlopen(address, timeout=STALLED_SECONDS)

    def _receive(self, buffer: Any) -> int:
        count = self._response.readinto(buffer)
        if count == 0 and self._response.length:
            raise ConnectionError(f"the connection was closed {self._response.length} bytes before the end")
        return count

    def close(self) -> None:
        if not self.closed:
            self._response.close()
        super().close()


class _Command(_Source):
    """What a shell command writes to its standard output."""

    def __init__(self, command: str) -> None:
        super().__init__()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the command)
        # A session of its own, so that closing can end everything the shell has started.
        self._process = subprocess.Popen(
            command,
            shell=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        self._ready = select.poll()
        self._ready.register(self._output, select.POLLIN)

    def _receive(self, buffer: Any) -> int:
        if not self._ready.poll(STALLED_SECONDS * 1000):
            raise TimeoutError(f"nothing came for {STALLED_SECONDS:g} s")
        count = os.readv(self._output.fileno(), [buffer])
        if count == 0:
            self._check_status()
        return count

    def _check_status(self) -> None:
        try:
            status = self._process.wait(STALLED_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"the command wrote nothing and did not end for {STALLED_SECONDS:g} s") from error
        if status:
            self._complaints.seek(0)
            said = self._complaints.read().decode(errors="replace").strip().splitlines()
            raise OSError(f"the command ended with status {status}" + (f": {said[-1]}" if said else ""))

    def close(self) -> None:
        if not self.closed:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            self._output.close()
            self._complaints.close()
        super().close()


def _broken(error: Exception) -> TransferError:
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    return TransferError(str(reason))
