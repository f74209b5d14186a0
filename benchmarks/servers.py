"""A server in a process of its own on the loopback, as users start it, and what it takes of the machine."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from gradio_client import Client, handle_file

from benchmarks.processes import family, memory

ROOT = Path(__file__).parent.parent
PATIENCE = 120  # seconds, for a server to start and for a request
PAGE = ("app.py",)
KILOBYTE = 1024  # of /proc


@dataclass(frozen=True)
class Server:
    """One that runs.

    Attributes:
        url: Its address, which ends with a slash.
        pid: Of its process.
        journal: The folder of the page's journal.
        uploads: The folder of what visitors upload to the page.
    """

    url: str
    pid: int
    journal: Path
    uploads: Path

    def uploaded(self) -> int:
        """Bytes in the folder of uploads."""
        return sum(_size(path) for path in self.uploads.rglob("*"))

    def memory(self) -> int:
        """Bytes that the server and the processes that it started hold of the memory now, of what is shared their share."""
        return sum(memory(process) for process in family(self.pid))

    def peak(self) -> int:
        """Bytes that the server itself held at most, since it started or since `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM:"))
        return KILOBYTE * int(line.split()[1])

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # see proc(5)


@contextmanager
def serving(*command: str, port_as_argument: bool = False) -> Iterator[Server]:
    """Start Python with a command, and end it at last. The port is in its environment, or its last argument."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory() as folder:
        environment = os.environ | {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1"}
        environment |= {"FASHION_CLASSIFIER_JOURNAL": f"{folder}/journal", "GRADIO_TEMP_DIR": f"{folder}/uploads"}
        program = [sys.executable, *command, *([str(port)] if port_as_argument else [])]
        silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(program, cwd=ROOT, env=environment, **silent) as process:
            try:
                url = f"http://127.0.0.1:{port}/"
                _await(url, process)
                yield Server(url, process.pid, Path(folder, "journal"), Path(folder, "uploads"))
            finally:
                process.terminate()


def warm(url: str) -> None:
    """Wait until the page has loaded what explanations need, which it does in the background."""
    Client(url, verbose=False).predict(handle_file(str(ROOT / "examples" / "coat.jpg")), api_name="/explain")


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}health").is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise SystemExit(f"The server did not start: {' '.join(map(str, process.args))}")  # type: ignore[arg-type]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:  # gone meanwhile
        return 0
