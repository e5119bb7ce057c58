"""A real Chroma server for tests, and machines with a replica each."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from mm_rag import Collection, Encoder


class ChromaServer:
    """`chroma run` in a folder; the port stays the same when it is started again."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        chroma = Path(sys.executable).with_name("chroma")
        where = ["--path", str(self._folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self._process = subprocess.Popen(
            [str(chroma), "run", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60.0
        while time.monotonic() < deadline:
            try:
                httpx.get(f"{self.address}/api/v2/heartbeat", timeout=5.0).raise_for_status()
                return
            except httpx.HTTPError:
                assert self._process.poll() is None, "the server has ended"
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def machine(folder: Path) -> Generator[None]:
    """What is opened in the block has its replica in a folder of its own."""

    def data_dir(_: str) -> str:
        return str(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("platformdirs.user_data_dir", data_dir)
        yield


def opened(
    server: ChromaServer, on: Path, encoder: Encoder, *, name: str, wait: float = 0.0
) -> Collection:
    """A collection on a server, opened on a machine."""
    with machine(on):
        return Collection(server.address, encoder=encoder, name=name, wait=wait)
