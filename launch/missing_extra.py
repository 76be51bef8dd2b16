"""A package that belongs to an extra and is not installed: one line that says what to install.  Cost: none."""

EXTRAS = {
    "accelerate": "train",
    "matplotlib": "train",
    "tensorboard": "train",
    "psutil": "train",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "deepspeed": "zero",
    "espeakng_loader": "demo",
    "pocketsphinx": "align",
    "kaldiio": "kaldi",
    "openpyxl": "tables",
    "pandas": "tables",
    "pyarrow": "tables",
    "fastapi": "serve",
    "onnx": "export",
    "onnxruntime": "export",
    "onnxscript": "export",
    "sounddevice": "microphone",
    "jinja2": "report",
    "plotly": "report",
    "umap": "umap",
    "uvicorn": "serve",
    "websockets": "serve",
}
"""Extra of the installation that brings each package."""


def how_to_install(error: ModuleNotFoundError) -> str | None:
    """Return the line for a user; None if the missing package belongs to no extra."""
    package = (error.name or "").partition(".")[0]
    extra = EXTRAS.get(package)
    if extra is None:
        return None
    return f"{package} is not installed and this needs it: pip install 'accent-embeddings[{extra}]'"
