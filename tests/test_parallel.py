"""Several processes give what one gives, and whatever happens to them is an error."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mm_rag import Encoder, Image, Text
from mm_rag.content import Content
from mm_rag.errors import InputError, UnreadableMedia, WorkerError
from mm_rag.modules.batching import BatchOptions
from mm_rag.parallel import EncoderPool

# Every test here that starts a process waits seconds for its imports.
slow = pytest.mark.slow
WORDS = [f"sentence {i} of many" + " and many more" * (i % 9) for i in range(50)]
TEXTS: list[Content] = [Text(words) for words in WORDS]


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(device="cpu", prompts={"query": "find: "})


@pytest.fixture(scope="module")
def pool(encoder: Encoder) -> Iterator[EncoderPool]:
    with encoder.pool(["cpu", "cpu"]) as pool:
        yield pool


def close(mine: Any, reference: Any) -> None:
    np.testing.assert_allclose(mine, reference, rtol=0, atol=1e-6)


def workers_but(before: set[int]) -> list[int]:
    return [c.pid for c in multiprocessing.active_children() if c.pid and c.pid not in before]


def pids() -> set[int]:
    return set(workers_but(set()))


@slow
def test_two_processes_give_the_vectors_of_one_in_order(
    encoder: Encoder, pool: EncoderPool
) -> None:
    media = [Image(b"never opened", text=words) for words in WORDS[:3]]
    inputs = [*WORDS, *media, WORDS[7]]

    vectors = pool.encode(inputs, batch_size=4)

    assert vectors.dtype == np.float32
    close(vectors, encoder.encode(inputs))
    close(pool.encode(WORDS, prompt_name="query"), encoder.encode_query(WORDS))


@slow
def test_the_options_of_encode_hold_for_a_pool(encoder: Encoder, pool: EncoderPool) -> None:
    assert pool.encode("one").shape == (384,)
    assert pool.encode(["one"]).shape == (1, 384)
    assert pool.encode([]).shape == (0, 384)
    assert pool.encode([], truncate_dim=64).shape == (0, 64)
    close(pool.encode(WORDS, truncate_dim=64), encoder.encode(WORDS, truncate_dim=64))
    made = pool.encode(WORDS, precision="ubinary")
    alone = encoder.encode(WORDS, precision="ubinary")
    turned = np.unpackbits(np.bitwise_xor(made, alone)).mean()
    assert turned < 1e-3  # rounding turns the sign of next to nothing
    steps = pool.encode(WORDS, precision="uint8").astype(int)
    assert abs(steps - encoder.encode(WORDS, precision="uint8")).max() <= 1
    with pytest.raises(InputError, match="no prompt named 'nonsense'"):
        pool.encode(WORDS, prompt_name="nonsense")
    close(encoder.encode_document(WORDS, devices=pool), encoder.encode_document(WORDS))
    assert encoder.encode(WORDS, devices=pool, output="tensor").device == encoder.chain.device


@slow
def test_progress_counts_every_content(pool: EncoderPool) -> None:
    counts: list[int] = []

    pool.run(TEXTS, BatchOptions(), on_batch=counts.append)

    assert sum(counts) == len(TEXTS)
    assert len(counts) > 10  # small chunks: nobody waits long for the last one


@slow
def test_callers_in_several_threads_wait_for_each_other(
    encoder: Encoder, pool: EncoderPool
) -> None:
    made: dict[int, Any] = {}

    def encode(part: int) -> None:
        made[part] = pool.encode(WORDS[part::3])

    threads = [threading.Thread(target=encode, args=(part,)) for part in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    for part in range(3):
        close(made[part], encoder.encode(WORDS[part::3]))


@slow
def test_the_error_of_a_worker_is_raised_here_and_the_pool_goes_on(
    encoder: Encoder, pool: EncoderPool
) -> None:
    bad = Image(b"not a picture")
    with pytest.raises(UnreadableMedia) as alone:
        encoder.encode(bad)

    with pytest.raises(UnreadableMedia) as together:
        pool.encode([*WORDS[:20], bad, *WORDS[20:]])

    assert str(together.value) == f"Input 20: {alone.value}"
    assert "In a worker" in together.value.__notes__[0]
    close(pool.encode(WORDS), encoder.encode(WORDS))


@slow
def test_what_cannot_be_sent_is_refused_and_the_pool_goes_on(
    encoder: Encoder, pool: EncoderPool
) -> None:
    unsendable: Any = threading.Lock()
    with pytest.raises(InputError, match="inputs 0 to 0 cannot be sent to another process"):
        pool.run([Image(unsendable)], BatchOptions())

    close(pool.encode(WORDS[:2]), encoder.encode(WORDS[:2]))


@slow
def test_weights_are_shared(encoder: Encoder, pool: EncoderPool) -> None:
    assert pool.encode("one").shape == (384,)
    parameters = list(encoder.chain.parameters())
    assert all(parameter.is_shared() for parameter in parameters)
    # One piece of memory, which is one open file, however many weights there are.
    assert len({parameter.untyped_storage().data_ptr() for parameter in parameters}) == 1


@slow
def test_devices_of_one_call(encoder: Encoder) -> None:
    before = pids()

    vectors = encoder.encode_query(WORDS[:4], devices=["cpu"], output="tensor")

    assert isinstance(vectors, torch.Tensor)
    close(vectors, encoder.encode_query(WORDS[:4]))
    assert workers_but(before) == []


@slow
@pytest.mark.parametrize("when", ["idle", "at work"])
def test_a_killed_worker_is_an_error_and_ends_the_pool(encoder: Encoder, when: str) -> None:
    before = pids()
    pool = encoder.pool(["cpu"])
    [pid] = workers_but(before)

    def kill(_: int = 0) -> None:
        os.kill(pid, signal.SIGKILL)

    if when == "idle":
        kill()
    with pytest.raises(WorkerError, match=rf"on cpu \(process {pid}\) died of SIGKILL"):
        pool.run(TEXTS, BatchOptions(), on_batch=kill)

    assert workers_but(before) == []
    with pytest.raises(WorkerError, match="pool is closed"):
        pool.run(TEXTS, BatchOptions())
    pool.close()
    pool.close()


@slow
def test_an_unforeseen_error_names_itself_and_ends_the_pool(encoder: Encoder) -> None:
    before = pids()
    nonsense: Any = 5
    with (
        encoder.pool(["cpu"]) as pool,
        pytest.raises(WorkerError, match=r"A worker failed with AttributeError: 'int'"),
    ):
        pool.run([nonsense], BatchOptions())
    assert workers_but(before) == []


@slow
def test_a_device_that_is_not_there(encoder: Encoder) -> None:
    before = pids()
    with pytest.raises(WorkerError, match="A worker failed with"):
        encoder.pool(["cpu", "cuda:99"])
    assert workers_but(before) == []


@pytest.mark.parametrize("devices", [[], "cpu", ["nonsense:0"], [None]])
def test_devices_that_cannot_be(encoder: Encoder, devices: Any) -> None:
    with pytest.raises(InputError, match=r"takes a list of devices|knows no such device"):
        encoder.pool(devices)


@slow
def test_an_encoder_that_cannot_be_sent() -> None:
    encoder = Encoder(device="cpu")
    encoder.chain.input.unsendable = threading.Lock()  # pyright: ignore[reportArgumentType]
    with pytest.raises(WorkerError, match=r"model cannot be sent .* pickle"):
        encoder.pool(["cpu"])


ENDLESS = """
from mm_rag import Encoder
if __name__ == "__main__":
    pool = Encoder(device="cpu").pool(["cpu", "cpu"])
    print("ready", flush=True)
    while True:
        pool.encode([f"text {i}" for i in range(500)])
"""
UNGUARDED = """
from mm_rag import Encoder
print(Encoder(device="cpu").pool(["cpu"]).encode("text"))
"""


@slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
@pytest.mark.parametrize("how", ["Ctrl-C", "killed"])
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, how: str) -> None:
    script = tmp_path / "endless.py"
    script.write_text(ENDLESS)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        time.sleep(0.5)
        if how == "Ctrl-C":
            os.killpg(started.pid, signal.SIGINT)
        else:
            started.kill()
        try:
            _, errors = started.communicate(timeout=60)
        finally:
            started.kill()  # a run in the background ignores Ctrl-C, and so do its processes

    assert group_is_gone(started.pid)
    assert how == "killed" or errors.splitlines()[-1].startswith("KeyboardInterrupt")
    assert "WorkerError" not in errors


def group_is_gone(group: int) -> bool:
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False


@slow
def test_a_script_without_a_guard_is_told(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(UNGUARDED)

    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode != 0
    assert "if __name__ == '__main__'" in done.stderr.splitlines()[-1]
    assert "WorkerError" in done.stderr.splitlines()[-1]
