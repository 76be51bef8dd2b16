"""The job script of a training run on a Slurm cluster: `configs/slurm/train.sbatch` with its values filled in.

There is one text only.  The script in configs/slurm is ready to be submitted; `render` replaces the values of its
#SBATCH lines and of the few assignments at its head, and rendering the defaults gives that very file back.

Source: the manual page sbatch(1).  Cost: milliseconds.
"""

import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from accent.configuration import load
from accent.errors import AccentError
from launch.run_config import PACKAGED, RunConfig, find_config
from shards.open import open_shards
from shards.splits.split import make_split

SCRIPT = PACKAGED / "slurm" / "train.sbatch"
ARRAY_SCRIPT = PACKAGED / "slurm" / "crossval.sbatch"
FEWEST_ROWS = 16
"""Rows of the global batch on a process, below which a run is said to be spread too thin."""
SHORTEST_SECONDS = 300
"""Slurm tells the job to save two minutes before its time limit, or up to one minute earlier than that (sbatch(1))."""


@dataclass(frozen=True)
class TrainingJob:
    """A training run on a cluster; the defaults are those of the ready script."""

    config: str = "configs/l2arctic.yaml"
    """The configuration, as `launch.train` takes it."""
    words: tuple[str, ...] = ()
    """Words `key=value` that replace its values."""
    run: str = "runs/l2arctic"
    """The run's folder, as configuration and words have it."""
    nodes: int = 2
    """Machines."""
    gpus_per_node: int = 8
    """GPUs of each; 0 trains on CPUs."""
    processes_per_node: int = 8
    """Processes on each; one a GPU where there are any."""
    cores_per_process: int = 5
    """CPU cores: one computes, and one for each thread that reads ahead."""
    launcher: str = "configs/accelerate/nodes.yaml"
    """Accelerate's configuration."""
    time: str = "24:00:00"
    """Time limit, HH:MM:SS or D-HH:MM:SS."""
    partition: str | None = None
    """The partition to run in; None takes the cluster's default."""
    account: str | None = None
    """The account to charge; None takes the user's default."""


def plan_job(
    config: str,
    words: Sequence[str],
    nodes: int,
    gpus_per_node: int,
    processes_per_node: int | None = None,
    launcher: str | None = None,
    time: str = TrainingJob.time,
    partition: str | None = None,
    account: str | None = None,
) -> TrainingJob:
    """Check what a user asks for, and fill in what follows from it.

    Args:
        config: name of a configuration of a run.
        words: `key=value` words that replace its values.
        nodes: machines, at least 1.
        gpus_per_node: GPUs of each machine; 0 trains on CPUs.
        processes_per_node: on CPUs; one if left out.  With GPUs it is always one a GPU.
        launcher: name of Accelerate's configuration; nodes.yaml with GPUs and cpu.yaml without, if left out.
        time: time limit.
        partition: the partition to run in.
        account: the account to charge.

    Returns:
        The job, ready to be rendered.

    Raises:
        AccentError: a configuration that does not load, or a value that Slurm would not take.
    """
    settings = load(RunConfig, find_config(config), words)
    if gpus_per_node and processes_per_node not in (None, gpus_per_node):
        raise AccentError(
            f"--processes-per-node {processes_per_node}: a job with GPUs has one process a GPU; leave the option out"
        )
    if launcher is None:
        launcher = "configs/accelerate/nodes.yaml" if gpus_per_node else "configs/accelerate/cpu.yaml"
    _check_time(time)
    _check_names(partition, account)
    return TrainingJob(
        config=config,
        words=tuple(words),
        run=settings.run,
        nodes=nodes,
        gpus_per_node=gpus_per_node,
        processes_per_node=gpus_per_node or processes_per_node or 1,
        cores_per_process=1 + settings.batch.workers,
        launcher=str(find_config(launcher, "accelerate")),
        time=time,
        partition=partition,
        account=account,
    )


def check_batch(config: RunConfig, processes: int) -> list[str]:
    """Check that processes can share the global batch, as their loaders will.

    Args:
        config: the run.
        processes: of all nodes together.

    Returns:
        What is doubtful, in lines; nothing where the shard set is elsewhere and decides the number of accents.

    Raises:
        AccentError: the global batch cannot be shared equally, or the shard set is damaged.
    """
    if Path(config.shards).is_dir():
        opened = open_shards(config.shards)
        split = make_split(opened.shard_set, config.split)
        rows = opened.training_loader(split, config.batch, config.seed, 0, processes).global_batch
    elif config.batch.accents_per_batch is not None:
        rows = config.batch.accents_per_batch * config.batch.speakers_per_accent * config.batch.utterances_per_speaker
    else:
        return []
    if rows % processes:
        raise AccentError(
            f"a global batch of {rows} rows cannot be shared by {processes} processes; change "
            "batch.utterances_per_speaker, batch.speakers_per_accent or batch.accents_per_batch, or the nodes"
        )
    if rows // processes < FEWEST_ROWS:
        return [
            f"{rows} rows of the global batch on {processes} processes are {rows // processes} each, fewer than "
            f"{FEWEST_ROWS}: they spend their time waiting for each other; raise batch.utterances_per_speaker, or use "
            "fewer processes"
        ]
    return []


def render(job: TrainingJob) -> str:
    """Return the job script: a function of the job only.

    >>> script = render(TrainingJob(nodes=4, words=("seed=3",)))
    >>> [line for line in script.splitlines() if line.startswith(("#SBATCH --nodes", "WORDS"))]
    ['#SBATCH --nodes=4', 'WORDS=(seed=3)']
    """
    script = SCRIPT.read_text(encoding="utf-8")
    # Slurm puts the job's name into the log's, where other characters would need quoting.
    directives = {
        "job-name": re.sub(r"[^\w.-]", "-", Path(job.run).name),
        "nodes": str(job.nodes),
        "gpus-per-node": str(job.gpus_per_node) if job.gpus_per_node else None,
        "cpus-per-task": str(job.processes_per_node * job.cores_per_process),
        "time": job.time,
        "partition": job.partition,
        "account": job.account,
    }
    for name, value in directives.items():
        # Two # switch a line off, and leave it there to be edited.
        line = rf"#\g<1>={value}" if value is not None else r"##\g<1>=\g<2>"
        script = _replace_line(script, rf"##?(SBATCH --{name})=(.*)", line)
    assignments = {
        "CONFIG": shlex.quote(job.config),
        "WORDS": f"({shlex.join(job.words)})",
        "RUN": shlex.quote(job.run),
        "PROCESSES_PER_NODE": str(job.processes_per_node),
        "LAUNCHER": shlex.quote(job.launcher),
    }
    for name, text in assignments.items():
        escaped = text.replace("\\", r"\\")
        script = _replace_line(script, rf"{name}=.*", f"{name}={escaped}")
    return script


def render_array(
    output: Path,
    numbers: Sequence[int],
    gpus_per_run: int,
    time: str,
    partition: str | None = None,
    account: str | None = None,
) -> str:
    """Return the script of a job array that runs the folds of a cross-validation.

    Args:
        output: the folder that `accent crossval` planned it in.
        numbers: the runs that are not finished.
        gpus_per_run: 0 or 1.
        time: time limit of a run.
        partition: the partition to run in.
        account: the account to charge.

    Raises:
        AccentError: nothing is left to run, or a value that Slurm would not take.
    """
    if not numbers:
        raise AccentError(f"{output}: all runs are finished; leave --slurm out to merge them")
    _check_time(time)
    _check_names(partition, account)
    script = ARRAY_SCRIPT.read_text(encoding="utf-8")
    directives = {
        "array": ",".join(map(str, numbers)),
        "job-name": re.sub(r"[^\w.-]", "-", output.name),
        "gpus-per-node": str(gpus_per_run) if gpus_per_run else None,
        "time": time,
        "partition": partition,
        "account": account,
    }
    for name, value in directives.items():
        line = rf"#\g<1>={value}" if value is not None else r"##\g<1>=\g<2>"
        script = _replace_line(script, rf"##?(SBATCH --{name})=(.*)", line)
    escaped = shlex.quote(str(output)).replace("\\", r"\\")
    return _replace_line(script, r"OUTPUT=.*", f"OUTPUT={escaped}")


def submit(script: str) -> str:
    """Give a job script to Slurm.

    Args:
        script: its text.  The job runs in the working folder, with the environment of this process.

    Returns:
        The job's number.

    Raises:
        AccentError: there is no Slurm here, or it refuses the job.
    """
    if shutil.which("sbatch") is None:
        raise AccentError(
            "--submit: no sbatch on this machine; leave the option out, and submit the script on a cluster"
        )
    done = subprocess.run(["sbatch", "--parsable"], input=script, capture_output=True, text=True)
    if done.returncode:
        raise AccentError(f"--submit: Slurm refuses the job: {' '.join(done.stderr.split())}")
    # With several clusters it is JOB;CLUSTER.
    return done.stdout.strip().partition(";")[0]


def _check_time(time: str) -> None:
    match = re.fullmatch(r"(?:(\d+)-)?(\d+):([0-5]\d):([0-5]\d)", time)
    if match is None:
        raise AccentError(f"--time {time}: not of the form HH:MM:SS or D-HH:MM:SS, such as 24:00:00")
    days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    if ((days * 24 + hours) * 60 + minutes) * 60 + seconds < SHORTEST_SECONDS:
        raise AccentError(
            f"--time {time}: shorter than 00:05:00, and a job is told to save 2 to 3 minutes before its end"
        )


def _check_names(partition: str | None, account: str | None) -> None:
    for option, name in (("--partition", partition), ("--account", account)):
        if name is not None and not re.fullmatch(r"[\w.,+-]+", name):
            raise AccentError(f"{option}: {name!r} is no name; sinfo lists partitions, and sacctmgr accounts")


def _replace_line(script: str, pattern: str, line: str) -> str:
    changed, count = re.subn(rf"^{pattern}$", line, script, flags=re.MULTILINE)
    if count != 1:
        raise ValueError(f"{SCRIPT}: {count} lines are {pattern}, not one")
    return changed
