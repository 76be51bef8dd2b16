"""The one time grid: sound at 16 kHz, and a frame each 10 ms.  Cost: none."""

SAMPLE_RATE = 16_000
"""Hz; the rate of all sound after decoding."""
HOP = 160
"""Samples between frames: 10 ms."""
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
