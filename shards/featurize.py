"""Turn a corpus into a shard set, on all cores, and go on where an earlier run stopped.

Workers compute features (`encode`); this process writes what they return, in the order of the plan (`plan`), one shard
at a time.  A finished shard and its record are renamed into place, so a run that was killed anywhere loses at most the
shard it was writing, and the bytes do not depend on how often it was killed or on the number of workers.
Cost: that of the features divided by the workers; memory: a few samples a worker, the list of inputs, and at the end
what `parts` says.

This module and what it imports must not import torch.
"""

import itertools
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from rich.console import Console

from accent.configuration import fingerprint
from accent.errors import AccentError
from accent.features.phones import PHONES
from shards.corpora import open_corpus
from shards.corpora.corpus import Corpus, Utterance
from shards.encode import Encoded, encode
from shards.manifest import Refused, ShardSet
from shards.parts import Labels, Part, assemble, load_part, load_parts, save_part, shard_name
from shards.plan import FeaturizeConfig, Plan, begin, locked, make_plan, refused_inputs, remove_temporaries
from shards.pool import WorkerPool, available_cores
from shards.progress import FeaturizeProgress, refused_table
from shards.statistics import Moments
from shards.writer import ShardWriter

__all__ = ["FeatureProcessor", "FeaturizeConfig"]

_logger = logging.getLogger(__name__)
_Results = Iterator[tuple[Utterance, Encoded | Refused]]


class FeatureProcessor:
    """Featurize a corpus into a folder of tar shards.

    Args:
        input_root: the corpus: a folder, or a table file.
        output_root: the folder for the shard set; made if need be.
        config: what is read and computed.
        workers: processes; by default one for each core this process may use.

    Raises:
        AccentError: fewer than one worker.

    Example:
        >>> shard_set = FeatureProcessor("L2-ARCTIC", "work/shards").process_dataset()  # doctest: +SKIP
    """

    def __init__(
        self,
        input_root: Path | str,
        output_root: Path | str,
        config: FeaturizeConfig = FeaturizeConfig(),  # noqa: B008 - frozen
        workers: int | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise AccentError(f"workers: {workers} is not at least 1; leave it out to use every core")
        self.input_root = Path(input_root)
        self.output_root = Path(output_root)
        self.config = config
        self.workers = available_cores() if workers is None else workers

    def process_dataset(self) -> ShardSet:
        """Write the shard set, or the rest of it; a complete one is opened at once.

        Inputs that cannot be used are left out and listed, with their reasons, at the end and in the manifest.

        Returns:
            The opened shard set.

        Raises:
            AccentError: the corpus cannot be read, none of its inputs can be used, the folder holds another set or
                is being written by another process, the disk refuses, or a worker process died.
            RuntimeError: a fault of the program, naming the input.
        """
        corpus = open_corpus(self.input_root, self.config.corpus)
        plan = make_plan(corpus, self.config)
        try:
            self.output_root.mkdir(parents=True, exist_ok=True)
            with locked(self.output_root):
                complete = begin(self.output_root, plan)
                if complete is not None:
                    _logger.info("%s: complete, nothing to do", self.output_root)
                    return complete
                try:
                    self._make_shards(corpus, plan)
                    shard_set = self._assemble(corpus, plan)
                except BaseException:
                    remove_temporaries(self.output_root)
                    raise
        except OSError as error:
            raise AccentError(
                f"{error.filename or self.output_root}: {error.strerror or error}; "
                "make room for it there or choose another folder, and run again: finished shards are kept"
            ) from error
        if shard_set.manifest.refused:
            Console(stderr=True).print(refused_table(shard_set.manifest.refused))
        return shard_set

    def _make_shards(self, corpus: Corpus, plan: Plan) -> None:
        missing = [number for number in range(len(plan.shards)) if load_part(self.output_root, number) is None]
        if not missing:
            return
        inputs = [utterance for number in missing for utterance in plan.shards[number]]
        work = partial(encode, root=corpus.root, config=self.config.features)
        with (
            FeaturizeProgress(plan.count, plan.count - len(inputs)) as progress,
            WorkerPool(min(self.workers, len(inputs))) as pool,
        ):
            results = pool.in_order(work, inputs, name=lambda utterance: str(utterance.path))
            for number in missing:
                share = itertools.islice(results, len(plan.shards[number]))
                save_part(self.output_root, self._write_shard(number, share, progress))

    def _write_shard(self, number: int, results: _Results, progress: FeaturizeProgress) -> Part:
        labels: list[Labels] = []
        refused: list[Refused] = []
        moments: dict[str, Moments] = {}
        with ShardWriter(self.output_root / shard_name(number)) as writer:
            for utterance, result in results:
                if isinstance(result, Refused):
                    refused.append(result)
                    progress.advance(None)
                    continue
                writer.add(result.sample)
                labels.append(_labels(utterance))
                known = moments.get(utterance.speaker)
                moments[utterance.speaker] = result.moments if known is None else known.merged(result.moments)
                progress.advance(result.seconds)
            rows = writer.rows
            entry = writer.finish() if labels else None
        return Part(number, entry, rows, tuple(labels), moments, tuple(refused))

    def _assemble(self, corpus: Corpus, plan: Plan) -> ShardSet:
        return assemble(
            self.output_root,
            load_parts(self.output_root, len(plan.shards)),
            corpus=corpus.name,
            configuration=plan.configuration,
            features_fingerprint=fingerprint(self.config.features),
            plan_fingerprint=plan.fingerprint,
            phones=PHONES,
            refused=refused_inputs(corpus),
        )


def _labels(utterance: Utterance) -> Labels:
    return Labels(
        utterance.speaker, utterance.accent, utterance.prompt, utterance.corpus, utterance.sex, utterance.split
    )
