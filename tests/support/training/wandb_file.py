"""What an offline run of wandb holds, read from its file without wandb's reader.

The file is a log in the form of LevelDB: after seven bytes, blocks of 32 KiB of chunks, each a checksum, a length and a
kind (whole, first, middle, last).  The records are wandb's protocol buffers.
"""

import json
import struct
from pathlib import Path
from typing import Any

BLOCK, HEADER, FILE_HEADER = 32 * 1024, 7, 7
WHOLE, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records(file: Path) -> list[Any]:
    """Every record, in order."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, parts, found = file.read_bytes(), FILE_HEADER, b"", []
    while at + HEADER <= len(data):
        left = BLOCK - at % BLOCK
        if left < HEADER:
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        if kind not in (WHOLE, FIRST, MIDDLE, LAST):
            break
        parts = (b"" if kind in (WHOLE, FIRST) else parts) + data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (WHOLE, LAST):
            record = Record()
            record.ParseFromString(parts)
            found.append(record)
    return found


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """Points of each curve, (step, value), of all offline files of a run folder."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb")):
        for record in records(file):
            if record.WhichOneof("record_type") == "history":
                items = {
                    item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item
                }
                for name, value in items.items():
                    if not name.startswith("_"):
                        curves.setdefault(name, []).append((int(items["_step"]), float(value)))
    return curves
