"""A real Slurm of two nodes on this machine, started for the tests and gone after them.

One munged, one slurmctld and two slurmd run on the loopback interface, with ports, key, socket, spool and logs of
their own in a temporary folder: several such clusters, and a Slurm that the machine has, do not meet.  Every process of
a cluster carries SLURM_CONF with the path of its configuration; by that the last of them are found and ended.

The nodes are named 0x7f000001 and 0x7f000002: names that are numbers too, which the C library resolves to 127.0.0.1 and
127.0.0.2 without asking anybody.  So a job script can take a node's name for its address, as on a real cluster.

Sources: the manual pages slurm.conf(5), slurmd(8), munged(8).  Cost: about two seconds to start.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel", "squeue", "sinfo")
NODES = ("0x7f000001", "0x7f000002")
COMMAND_SECONDS = 120.0
"""No command of Slurm's needs longer than a moment."""
START_SECONDS = 120.0
JOB_SECONDS = 180.0
"""The jobs of the tests take about ten seconds each on two idle cores."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY"}

CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
# The job scripts take a port by the job's number: two clusters on this machine must not count alike.
FirstJobId={controller_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until the credentials of its first start have expired; 5 s is the least that is taken.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
# A job of the partition urgent takes the nodes of one that may be stopped, which is told so {grace} s before.
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
NodeName={nodes[0]} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_ports[0]} CPUs=4 RealMemory=1000000
NodeName={nodes[1]} NodeHostname={host} NodeAddr=127.0.0.1 Port={node_ports[1]} CPUs=4 RealMemory=1000000
PartitionName=usual Nodes=ALL Default=YES PriorityTier=1 GraceTime={grace}
PartitionName=urgent Nodes=ALL PriorityTier=2
"""


class SlurmCluster:
    """A running cluster.

    Args:
        folder: holds everything of it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._mark = {"SLURM_CONF": str(folder / "slurm.conf")}
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "MASTER_"))}
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "ACCELERATE_USE_CPU"):
            outside.pop(name, None)
        self.environment = {
            **outside,
            **self._mark,
            # What a user's activated environment and the cluster's own network would give.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(REPOSITORY),
            "GLOO_SOCKET_IFNAME": "lo",
        }
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the daemons and wait until both nodes are idle."""
        ports = _free_ports(3)
        configuration = CONFIGURATION.format(
            folder=self.folder, host=socket.gethostname().split(".")[0], nodes=NODES, grace=60,
            controller_port=ports[0], node_ports=ports[1:],
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(configuration)
        (self.folder / "state").mkdir()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        files = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        munge = [f"--{name}{'' if name == 'socket' else '-file'}={path}" for name, path in files.items()]
        self._start("munged", "--foreground", "--force", f"--key-file={key}", *munge)
        self._wait("munged", files["socket"].exists)
        self._start("slurmctld", "-D", "-i")
        for node in NODES:
            self._start("slurmd", "-D", "-N", node)
        self._wait("the nodes", lambda: self._idle_nodes() == len(NODES))

    def command(self, *words: str | Path, cwd: Path = REPOSITORY, text: str | None = None) -> str:
        """Run a command as a user of the cluster; return what it printed."""
        done = subprocess.run(
            [str(word) for word in words], cwd=cwd, env=self.environment, input=text,
            capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout

    def job(self, number: int | str) -> dict[str, str]:
        """Return what `scontrol show job` says of a job, by field: JobState, Restarts, Reason, ExitCode and others."""
        line = self.command("scontrol", "--oneliner", "show", "job", str(number)).splitlines()[0]
        return dict(field.split("=", 1) for field in line.split() if "=" in field)

    def wait_for_end(self, number: int | str) -> dict[str, str]:
        """Wait until a job has ended for good on all its nodes; return its fields."""
        deadline = time.monotonic() + JOB_SECONDS
        while (job := self.job(number))["JobState"] not in ENDED:
            assert time.monotonic() < deadline, f"job {number} does not end: {job}; {self.logs()}"
            time.sleep(0.1)
        return job

    def processes(self, **variables: str) -> list[int]:
        """Return the processes of this cluster whose environment has these values."""
        marks = {f"{name}={value}".encode() for name, value in {**self._mark, **variables}.items()}
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if marks <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                continue
        return found

    def close(self) -> None:
        """End every job and every daemon; nothing of the cluster runs afterwards."""
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait(timeout=COMMAND_SECONDS)
        deadline = time.monotonic() + COMMAND_SECONDS
        while left := self.processes():
            assert time.monotonic() < deadline, f"processes {left} do not end"
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)

    def logs(self) -> str:
        """Return the ends of the daemons' logs, for the message of a failure."""
        return "\n".join(f"{path.name}: {path.read_text()[-500:]}" for path in sorted(self.folder.glob("*.log")))

    def _start(self, program: str, *words: str) -> None:
        # Before a daemon has read its configuration it speaks here; afterwards it has a log of its own.
        with (self.folder / "start.log").open("ab") as output:
            # The kernel ends the daemon if this process dies without closing the cluster.
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", program, *words],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self._daemons.append(daemon)

    def _wait(self, what: str, ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            dead = any(daemon.poll() is not None for daemon in self._daemons)
            assert not dead and time.monotonic() < deadline, f"{what} did not start: {self.logs()}"
            time.sleep(0.05)

    def _idle_nodes(self) -> int:
        done = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--partition=usual", "--format=%T"],
            env=self.environment, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        return done.stdout.split().count("idle")


@contextmanager
def slurm_cluster() -> Iterator[SlurmCluster]:
    """Run a two-node Slurm; skip the test where there is no Slurm to run."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)} missing): apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("only root can run jobs in a Slurm of its own")
    # Not below pytest's folder: the path of a socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    cluster = SlurmCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
