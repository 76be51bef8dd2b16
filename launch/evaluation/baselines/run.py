"""`accent baselines`: every baseline and control, in the folds and by the measures that the encoder is judged by.

Each (baseline, fold, seed) leaves OUT/BASELINE/fold-K/seed-S/predictions.npz and is not made twice; then one JSON and
one table.  Cost: for 240 speakers and five folds about five minutes on one core, and as long again for ECAPA-TDNN.
"""

import json
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accent.errors import AccentError
from accent.files import writable_folder, write_text
from launch.evaluation.baselines.baseline import Baseline
from launch.evaluation.baselines.decoded_phones import PhonesOfFold, phones_heard
from launch.evaluation.baselines.ecapa import Ecapa
from launch.evaluation.baselines.phones import has_alignments, phone_baselines
from launch.evaluation.baselines.vectors import FEATURE_MEANS, egemaps_baseline
from launch.evaluation.controls import CONTROLS
from launch.evaluation.fold_figures import fold_figures
from launch.evaluation.folds import FoldConfig, freeze_folds
from launch.evaluation.group_predictions import GroupPredictions, predict_groups
from launch.evaluation.utterances import Utterances
from shards.shard_set.manifest import ShardSet
from shards.splits.split import Split

PREDICTIONS = "predictions.npz"


def run_baselines(
    shards: Path,
    output: Path,
    folds: FoldConfig = FoldConfig(),  # noqa: B008 (frozen)
    seeds: Sequence[int] = (0,),
    sound: Path | None = None,
    heads: Path | None = None,
    only: Sequence[str] = (),
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run every baseline that can be run.

    Args:
        shards: the shard set.
        output: the folder of the results; what is finished in it is kept.
        folds: the protocol.
        seeds: of the baselines that depend on one.
        sound: the corpus folder, for eGeMAPS.
        heads: folder of a cross-validation with the same folds, whose phone heads decode the phones for the phone means
            without text.
        only: names of the baselines to run; all if empty.
        say: is told what is left out and what is finished.

    Returns:
        The report that is written to `baselines.json`.

    Raises:
        AccentError: nothing to run, an unknown name, or folds that differ from those of the results in the folder.
    """
    shard_set = ShardSet.open(shards)
    writable_folder(output)
    splits = freeze_folds(output, shard_set, folds)
    utterances = Utterances.of(shard_set)
    decoded = None if heads is None else phones_heard(heads)
    baselines, left_out = _choose(utterances, output, sound, decoded, only)
    for name, reason in left_out.items():
        say(f"{name}: left out, {reason}")
    found = {}
    for baseline in baselines:
        own_seeds = tuple(seeds) if baseline.seeded else (0,)
        seconds: list[float] = []
        settings: list[Any] = []
        predictions = []
        for seed in own_seeds:
            predictions.append(
                [
                    _one(baseline, utterances, split, fold, seed, output, seconds, settings)
                    for fold, split in enumerate(splits)
                ]
            )
        found[baseline.name] = {"title": baseline.title, **fold_figures(predictions), "settings": settings}
        if seconds:
            say(f"{baseline.name}: {sum(seconds):.0f} s for {len(seconds)} of {len(splits) * len(own_seeds)} folds")
    report = {
        "format_version": 1,
        "shards": str(shards),
        "protocol": folds.describe(),
        "accents": shard_set.accents,
        "left_out": left_out,
        "systems": found,
    }
    write_text(output / "baselines.json", json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def _one(
    baseline: Baseline,
    utterances: Utterances,
    split: Split,
    fold: int,
    seed: int,
    output: Path,
    seconds: list[float],
    settings: list[Any],
) -> GroupPredictions:
    folder = output / baseline.name / f"fold-{fold}" / f"seed-{seed}"
    path = folder / PREDICTIONS
    if not path.is_file():
        begin = time.monotonic()
        fitted = baseline.fit(utterances, split, fold, seed)
        predictions = predict_groups(fitted.embed_groups, utterances, utterances.tested(split))
        seconds.append(time.monotonic() - begin)
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / "settings.json", json.dumps({**fitted.settings, "seconds": seconds[-1]}, indent=2) + "\n")
        predictions.save(path)
    settings.append(json.loads((folder / "settings.json").read_text(encoding="utf-8")))
    return GroupPredictions.load(path)


def _choose(
    utterances: Utterances, output: Path, sound: Path | None, decoded: PhonesOfFold | None, only: Sequence[str]
) -> tuple[list[Baseline], dict[str, str]]:
    left_out = {}
    found: list[Baseline] = [*CONTROLS, FEATURE_MEANS]
    if sound is None:
        left_out["egemaps"] = "it needs the sound: --sound CORPUS"
    elif not (first_file := sound / utterances.reader.metadata(0).get("source", "")).is_file():
        left_out["egemaps"] = f"no sound file {first_file}"
    elif find_spec("opensmile") is None:
        left_out["egemaps"] = "opensmile is not installed: pip install 'accent-embeddings[opensmile]'"
    else:
        found.append(egemaps_baseline(sound, output / "egemaps.npz"))
    if find_spec("speechbrain") is None:
        left_out["ecapa"] = "speechbrain is not installed: pip install 'accent-embeddings[speechbrain]'"
    else:
        found.append(Ecapa())
    if not has_alignments(utterances):
        left_out["phone_means_aligned"] = "the shard set has utterances without an alignment"
    if decoded is None:
        left_out["phone_means_decoded"] = "no phone heads to decode with: --heads CROSSVAL"
    found += phone_baselines(utterances, decoded)
    unknown = sorted(set(only) - {one.name for one in found})
    if unknown:
        raise AccentError(
            f"--only {unknown[0]}: no such baseline, or it is left out ({left_out.get(unknown[0], 'unknown name')}); "
            f"there are {', '.join(one.name for one in found)}"
        )
    return [one for one in found if not only or one.name in only], {} if only else left_out
