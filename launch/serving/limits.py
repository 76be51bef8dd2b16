"""What a client may ask of the server.  Cost: none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits on size, time and number."""

    upload_bytes: int = 20_000_000
    """Largest sound file."""
    upload_seconds: float = 60.0
    """Longest time that its bytes may take to come."""
    files_at_once: int = 2
    """Files worked on at the same time; others wait."""
    listeners: int = 4
    """Streams at the same time; others are turned away."""
    listen_seconds: float = 3_600.0
    """Longest stream, in seconds of sound."""
    idle_seconds: float = 30.0
    """A stream that sends nothing for so long is closed."""
    message_bytes: int = 1 << 20
    """Largest message of a stream."""
