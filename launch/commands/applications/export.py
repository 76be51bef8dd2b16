"""`accent export`: a run as one folder for Python, ONNX and a model hub."""

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make; an earlier export there is replaced.")],
    shards: Annotated[
        Path | None,
        typer.Argument(metavar="SHARDS", help="Its shard set, to check with; the one it was trained on if left out."),
    ] = None,
) -> None:
    """Write a run's model for accent.load, torch.export, ONNX (float32, int8) and a model hub; checked on real speech.

    Example: accent export runs/l2arctic exported/l2arctic
    """
    from launch.applications.export import export_run

    report = export_run(run, output, shards)
    print(
        f"{output}: {', '.join(report.outputs)}; onnxruntime differs from torch by {report.largest_difference:.1g} "
        f"on {report.recordings} recordings; int8: cosine {report.int8_mean_cosine:.4f}, "
        f"the same answer for {report.int8_same_answer:.1%}, {report.bytes_int8 / 1e6:.2f} of "
        f"{report.bytes_float32 / 1e6:.2f} MB"
    )
