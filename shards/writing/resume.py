"""Resume an unfinished set: what is being made in a folder, by which program, and what a stopped run has left behind.

`.parts/plan.json` is written once, by the first process, and compared by all others: the next run after one that was
stopped, and other machines that make other parts.  It holds all that the manifest needs besides the records of the
shards, so that a set can be put together without its corpus.  Cost: a hash of the feature code.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import accent
from accent.configuration import flatten
from accent.errors import AccentError
from accent.files import TEMPORARY_SUFFIX, write_once
from accent.strict_json import to_json
from accent.typed_json import parse_json
from shards.shard_set.files import MANIFEST_NAME, STATISTICS_NAME
from shards.shard_set.index import INDEX_NAME
from shards.shard_set.manifest import Refused, ShardSet
from shards.shard_set.prompts import PROMPTS_NAME
from shards.writing.partition import Partition
from shards.writing.plan import Plan
from shards.writing.shard_record import RECORDS_FOLDER, record_path, remove_records, shard_name

_LIBRARIES = (
    "librosa", "llvmlite", "numba", "numpy", "praat-parselmouth", "scipy", "soundfile", "soxr",
)  # fmt: skip
"""Those whose version may move the features' last digits."""
_ACCENT = Path(accent.__file__).parent
PLAN_NAME = "plan.json"


@dataclass(frozen=True)
class Intent:
    """What `plan.json` says: which set is being made, and by which program."""

    plan_fingerprint: str
    features_fingerprint: str
    configuration: Mapping[str, Any]
    corpus: str
    """Name of the corpus."""
    shards: int
    """How many there will be."""
    parts: int
    """How many parts the first process was told of; a hint for messages."""
    refused: tuple[Refused, ...]
    """Inputs that were refused while listing the corpus."""
    made_with: Mapping[str, str]

    @classmethod
    def of(cls, plan: Plan, part: Partition) -> "Intent":
        """Describe a plan that this program is going to carry out."""
        return cls(
            plan_fingerprint=plan.fingerprint,
            features_fingerprint=plan.features_fingerprint,
            configuration=plan.configuration,
            corpus=plan.corpus,
            shards=len(plan.shards),
            parts=part.count,
            refused=plan.refused,
            made_with=made_with(),
        )

    @classmethod
    def read(cls, root: Path) -> "Intent | None":
        """Read what is being made in a folder; nothing if nothing was begun there.

        Raises:
            AccentError: it is damaged, or another version of this program wrote it.
        """
        path = root / RECORDS_FOLDER / PLAN_NAME
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        what_to_do = f"or begun with another version of this program; delete the folder {root} and featurize again"
        return parse_json(data, cls, path, what_to_do)


def begin(root: Path, plan: Plan, part: Partition = Partition()) -> ShardSet | None:  # noqa: B008 - frozen
    """Find out what is already there, and prepare the folder for the rest.

    Args:
        root: the output folder, locked for this part.
        plan: what is wanted.
        part: the part that is going to be made.

    Returns:
        The shard set if it is complete and made by this plan; nothing if there may be work to do.

    Raises:
        AccentError: the folder holds the set of another plan, shards of unknown origin, or half a set that other
            code or libraries made.
    """
    if (root / MANIFEST_NAME).exists():
        shard_set = ShardSet.open(root)
        _same_plan(root, plan, shard_set.manifest.plan_fingerprint, shard_set.manifest.configuration)
        if part.is_everything:
            remove_records(root)
        return shard_set
    # Looked for before the plan: another machine writes its plan before its first shard.
    shards = sorted(root.glob("shard-*.tar"))
    intent = Intent.read(root)
    if intent is None:
        if shards:
            raise AccentError(
                f"{shards[0]}: a shard without a manifest lies in the output folder; delete it or choose another folder"
            )
        (root / RECORDS_FOLDER).mkdir(exist_ok=True)
        write_once(root / RECORDS_FOLDER / PLAN_NAME, to_json(asdict(Intent.of(plan, part))))
        # Another machine may have been first.
        intent = Intent.read(root)
        assert intent is not None
    _same_plan(root, plan, intent.plan_fingerprint, intent.configuration)
    same_program(root, intent)
    remove_temporaries(root, part.of(len(plan.shards)), everything=part.is_everything)
    return None


def made_with() -> dict[str, str]:
    """Return what decides the values besides the configuration: versions of libraries, a hash of the feature code."""
    rooms = ("audio", "dsp", "features")
    files = [_ACCENT / "grid.py", *(file for room in rooms for file in (_ACCENT / room).rglob("*.py"))]
    code = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in sorted(files)))
    return {**{library: version(library) for library in _LIBRARIES}, "feature code": code.hexdigest()[:12]}


def remove_temporaries(root: Path, numbers: Iterable[int], everything: bool) -> None:
    """Remove the half-written files of a run that was stopped; finished ones have other names.

    Args:
        root: the folder of the shard set.
        numbers: the shards that no other process is making.
        everything: no other process is making anything, so that all half-written files are left over.
    """
    if everything:
        names = ["shard-*.tar", MANIFEST_NAME, INDEX_NAME, STATISTICS_NAME, PROMPTS_NAME, f"{RECORDS_FOLDER}/"]
        left = [path for name in names for path in root.glob(f"{name}*{TEMPORARY_SUFFIX}")]
    else:
        mine = {name for number in numbers for name in (shard_name(number), record_path(root, number).name)}
        written = [
            *root.glob(f"shard-*{TEMPORARY_SUFFIX}"),
            *(root / RECORDS_FOLDER).glob(f"shard-*{TEMPORARY_SUFFIX}"),
        ]
        # A temporary name is the final one, a dot, random letters and the ending.
        left = [path for path in written if path.name.removesuffix(TEMPORARY_SUFFIX).rpartition(".")[0] in mine]
    for path in left:
        path.unlink(missing_ok=True)


def same_program(root: Path, intent: Intent) -> None:
    """Refuse to resume half a set that another program made.

    Raises:
        AccentError: the feature code or a library is another one; the line names it.
    """
    ours, theirs = made_with(), intent.made_with
    differing = [name for name in sorted(ours.keys() | theirs.keys()) if ours.get(name) != theirs.get(name)]
    if differing:
        why = ", ".join(f"{name} {theirs.get(name)} there and {ours.get(name)} here" for name in differing)
        raise AccentError(
            f"{root}: half a shard set, begun with other software ({why}); use the same on every machine, or delete "
            "the folder and featurize again"
        )


def _same_plan(root: Path, plan: Plan, fingerprint: str, configuration: Mapping[str, Any]) -> None:
    if fingerprint == plan.fingerprint:
        return
    differing = [
        f"{key} is {old.get(key)!r} there and {new.get(key)!r} here"
        for old, new in [(flatten(configuration), flatten(plan.configuration))]
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    why = "; ".join(differing[:3]) if differing else "the list of inputs differs, or their sizes or labels"
    raise AccentError(
        f"{root}: holds shards of another corpus or configuration ({why}); choose another folder or delete this one"
    )
