"""A real server of a folder on this machine, which may break off, refuse or fall silent; and folders to damage."""

import functools
import http.server
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from shards.shard_set.manifest import ShardSet


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder; may break off an answer, refuse it, or fall silent."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.asked = Counter[str]()
        self.break_at: dict[str, list[int]] = {}
        """File name -> after how many bytes its next answers break off."""
        self.refuse: dict[str, list[int]] = {}
        """File name -> the statuses of its next answers."""
        self.silent = threading.Event()
        self.stopped = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.SimpleHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        self.server.asked[name] += 1
        if self.server.refuse.get(name):
            self.send_error(self.server.refuse[name].pop(0))
            return
        if not self.server.break_at.get(name):
            super().do_GET()
            return
        limit = self.server.break_at[name].pop(0)
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:limit])
        self.wfile.flush()
        if self.server.silent.is_set():
            self.server.stopped.wait(20)
        self.connection.shutdown(socket.SHUT_RDWR)


def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()


def copy_of(local: ShardSet, folder: Path) -> Path:
    """A copy to spoil: links, but for the shards."""
    folder.mkdir()
    for path in local.root.iterdir():
        if path.suffix == ".tar":
            (folder / path.name).write_bytes(path.read_bytes())
        else:
            (folder / path.name).symlink_to(path)
    return folder


def spoil(folder: Path, local: ShardSet, number: int) -> None:
    row = local.index[number]
    path = folder / local.manifest.shards[int(row["shard"])].name
    content = bytearray(path.read_bytes())
    content[int(row["frames_offset"]) + 100] ^= 0xFF
    path.write_bytes(content)
