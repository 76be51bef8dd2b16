"""`accent serve`: the web application on a port.  Cost: that of the answers; loading the model before the first."""

from pathlib import Path

import uvicorn

from accent.errors import AccentError
from accent.features.extract import prepare_backend
from accent.inference.accent_model import load
from launch.serving.app import create_app, is_loopback
from launch.serving.limits import Limits


def serve(run: Path, host: str = "127.0.0.1", port: int = 8765, device: str = "cpu") -> None:
    """Serve until Ctrl-C.

    Args:
        run: a run folder, a model folder or a weights file; calibrated.
        host: address to listen on.
        port: 0 for any that is free.
        device: where to compute.

    Raises:
        AccentError: no model, not calibrated, or a port that cannot be had.
    """
    model = load(run, device)
    limits = Limits()
    app = create_app(model, limits, host)
    # The first client would wait for the kernels otherwise.
    prepare_backend(model.embedder.feature_config)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host,
            port,
            log_level="warning",
            ws_max_size=limits.message_bytes + 1,
            # A client that has to wait for its answers does not answer pings either; an idle one is closed anyway.
            ws_ping_interval=None,
            limit_concurrency=64,
        )
    )
    try:
        socket = server.config.bind_socket()
    except SystemExit as leaving:
        raise AccentError(f"{host}:{port}: cannot be listened on; give another --port") from leaving
    with socket:
        # From here on clients are kept waiting, not turned away.
        socket.listen()
        shown, bound = ("localhost" if is_loopback(host) else host), socket.getsockname()[1]
        print(f"http://{shown}:{bound}/  (Ctrl-C ends it)", flush=True)
        server.run([socket])
