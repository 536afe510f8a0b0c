"""What every test may ask for: objects that prove themselves gone, patience, and real children."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common import names
from common.kernel import existing, libc
from common.kernel.ledger import Ledger
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests import compiled

# Seconds that a slow, busy machine may take for what normally takes milliseconds.
PATIENCE = 60.0


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return how many workers `-n auto` means: one more than cores, since many tests only wait."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Let SIGINT reach what the tests start, also where a shell runs the suite in the background.

    Such a shell has it ignored, and whoever is started inherits that (sh(1p), asynchronous lists).
    And what is to be compiled is, once, before any worker looks for it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(config, "workerinput"):
        _keep_to_itself()
    elif compiled.COMPILER:
        compiled.build()


def _keep_to_itself() -> None:
    """Keep the pipes to and from xdist out of the hands of whoever is forked from this worker."""
    # They are all the pipes that there are before anything was made.
    pipes = {
        int(path.name): path.stat().st_ino
        for path in Path("/proc/self/fd").iterdir()
        if path.is_symlink() and int(path.name) > 2 and str(path.readlink()).startswith("pipe:")
    }
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def cut() -> None:
        # In each child of a child, too: there their numbers may be those of others.
        for fd, inode in pipes.items():
            with contextlib.suppress(OSError):
                if os.fstat(fd).st_ino == inode:
                    os.dup2(null, fd, inheritable=False)

    os.register_at_fork(after_in_child=cut)


@pytest.fixture(autouse=True)
def runtime_directory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give each test a runtime directory of its own, short enough for sockets, empty at the end.

    So ``ps`` and ``clean`` of one test never see the runs of another.
    """
    directory = Path(tempfile.mkdtemp(prefix="t"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    yield directory
    left = sorted(path.name for path in directory.iterdir())
    shutil.rmtree(directory)
    assert left == []


@pytest.fixture
def kernel_clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Assert afterwards that nothing is left of what this test's own process made.

    Known by the keys and tokens that it drew and by its pid, so that other test workers, other
    suites and other programs on the machine never matter.
    """
    keys: list[int] = []
    tokens: list[str] = []
    new_key, new_token = names.new_key, names.new_token

    def key() -> int:
        keys.append(new_key())
        return keys[-1]

    def token() -> str:
        tokens.append(new_token())
        return tokens[-1]

    monkeypatch.setattr(names, "new_key", key)
    monkeypatch.setattr(names, "new_token", token)
    yield
    left = [
        f"{table} {row['key']:#x}"
        for table in ("shm", "sem", "msg")
        for row in existing.listed(table)
        if row["key"] in keys or row.get("cpid") == os.getpid()
    ]
    left += [
        path.name
        for parent in (Path("/dev/shm"), Path("/tmp"))
        for path in parent.iterdir()
        if any(token in path.name for token in tokens)
    ]
    assert left == []


@pytest.fixture
def maker(kernel_clean: None, tmp_path: Path) -> Iterator[Maker]:
    """Yield a maker over a real ledger in a real runtime directory; all is removed afterwards."""
    directory = names.make_runtime_directory()
    ledger = Ledger.create(directory, scenario="test", run_dir=str(tmp_path))
    maker = Maker(ledger, directory, tmp_path)
    try:
        yield maker
        maker.remove_all()
        assert maker.leaks() == []
    finally:
        maker.remove_all()
        ledger.close()
        shutil.rmtree(directory)


def limited(maker: Maker) -> dict[str, int]:
    """Return how many objects were made of each kind that the kernel limits by number."""
    made = Counter(str(entry["kind"]) for entry in maker.objects())
    counted = (*existing.SYSV, "posix_sem", "posix_queue")
    return {kind: made[kind] for kind in counted if made[kind]}


@pytest.fixture
def wait() -> Wait:
    """Return the patience of a process that must not run into its deadline."""
    return Wait(PATIENCE)


class Child:
    """A forked process of a test."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._status: int | None = None

    def ended(self) -> int:
        """Wait for the end; returns the exit status, or minus the signal that killed it."""
        if self._status is None:
            poll = select.poll()
            poll.register(self._pidfd, select.POLLIN)
            assert poll.poll(PATIENCE * 1000), f"child {self.pid} does not end"
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self._pidfd)
        return self._status

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        signal.pidfd_send_signal(self._pidfd, number)


Fork = Callable[[Callable[[], object]], Child]


@pytest.fixture
def fork() -> Iterator[Fork]:
    """Return a function that runs its argument in a forked child; 0 is its exit when it returns."""
    children: list[Child] = []

    def start(work: Callable[[], object]) -> Child:
        runner = os.getpid()
        with warnings.catch_warnings():
            # pytest-timeout and xdist have threads; a child here never touches what they hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid:
            children.append(Child(pid))
            return children[-1]
        status = 1
        try:
            # A test that runs into its limit ends the runner at once: nothing may wait or spin on.
            libc.prctl_die_with_parent(signal.SIGKILL, runner)
            work()
            status = 0
        except BaseException:
            os.write(2, traceback.format_exc().encode())
        finally:
            with contextlib.suppress(BaseException):
                sys.stderr.flush()
            os._exit(status)

    yield start
    for child in children:
        if child._status is None:
            child.kill()
            child.ended()


class Signpost:
    """A pipe on which one process tells another how far it has come, one byte a sign."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def show(self, sign: str) -> None:
        """Tell."""
        os.write(self._write, sign.encode())

    def see(self, sign: str) -> None:
        """Wait until ``sign`` is told; anything else is a failure."""
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), f"never saw {sign!r}"
        assert os.read(self._read, 1) == sign.encode()

    def close(self) -> None:
        """Close both ends."""
        os.close(self._read)
        os.close(self._write)


@pytest.fixture
def signpost() -> Iterator[Callable[[], Signpost]]:
    """Return a function that makes signposts."""
    made: list[Signpost] = []

    def make() -> Signpost:
        made.append(Signpost())
        return made[-1]

    yield make
    for post in made:
        post.close()
