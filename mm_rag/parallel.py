"""EncoderPool and RerankerPool: encode and rerank in several processes, on one or several devices.

Every worker process has the model. It receives a chunk of the inputs, returns their vectors or
scores, and receives the next chunk, so that a slow chunk does not delay others. A worker that dies
closes its pipe, which raises an error here.
"""

from __future__ import annotations

import copy
import itertools
import math
import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from mm_rag._closing import Closing
from mm_rag.content import Content
from mm_rag.errors import InputError, MMRagError, WorkerError
from mm_rag.modules.batching import BatchOptions, sentence_vectors
from mm_rag.preprocessing.chat_template import PairOrChat
from mm_rag.rerankers.model import ScoreOptions

if TYPE_CHECKING:
    from mm_rag.encoder import Encoder
    from mm_rag.options import EncodeOptions
    from mm_rag.reranker import PredictOptions, Ranked, Reranker, Scores

Vectors: TypeAlias = npt.NDArray[Any]
Work: TypeAlias = Callable[[Any, Sequence[Any], Any], Vectors]

_LARGEST_CHUNK = 5000  # inputs
_ALIGNMENT = 64  # bytes: a cache line of a CPU, more than any instruction needs
_START = -1  # the job number of a worker that is starting
_GUARD = (
    "Workers import the script that starts them, so that it must start them under "
    "`if __name__ == '__main__':`."
)


class Pool(Closing):
    """Processes that run one model; close the pool, or use it in a `with` block.

    The weights on the CPU, also the model's own, move to memory that all processes share.

    Args:
        model: The model, which stays on its device.
        work: The function that a worker applies to a chunk of the inputs; it must be picklable.
        lock: Held while the model is used in this process.
        devices: One process per device, such as `["cuda:0", "cuda:1"]` or `["cpu", "cpu"]`.

    Raises:
        InputError: There are no devices, or torch does not know one.
        WorkerError: A process did not start.
    """

    def __init__(
        self,
        model: nn.Module,
        work: Work,
        lock: AbstractContextManager[Any],
        devices: Sequence[str | torch.device],
    ) -> None:
        self._lock = threading.Lock()
        self._jobs = itertools.count()
        self._workers: list[_Worker] = []
        checked = _checked_devices(devices)
        on_cpu = sum(device.type == "cpu" for device in checked)
        threads = max(1, torch.get_num_threads() // max(1, on_cpu))
        try:
            self._workers.extend(_Worker(device, threads) for device in checked)
            # Sharing moves the weights, so the model must not run meanwhile.
            with lock:
                sent = _sharing(model)
            for worker in self._workers:
                worker.receive()
                worker.give(sent, work)
            for worker in self._workers:
                worker.receive()
        except BaseException:
            self.close()
            raise

    def run(
        self,
        inputs: Sequence[Any],
        options: Any,
        *,
        on_batch: Callable[[int], None] = lambda count: None,
    ) -> Vectors:
        """Run the model over inputs; concurrent callers wait for each other.

        Args:
            inputs: At least one, of modalities that the model supports.
            options: How they are run.
            on_batch: Called with the number of inputs of every finished chunk.

        Returns:
            One row per input, float32.

        Raises:
            WorkerError: A worker died, or the pool is closed.
            MMRagError: The model raised it; other chunks are discarded, and the pool stays usable.
        """
        with self._lock:
            try:
                return np.concatenate(self._answers(inputs, options, on_batch))
            except BaseException as error:
                # After an error of an input the worker continues. Any other exception, also an
                # interrupt, leaves the pipes in an unknown state.
                if isinstance(error, WorkerError) or not isinstance(error, MMRagError):
                    self.close()
                raise

    def close(self) -> None:
        """Kill the processes, also busy ones."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end()

    def _answers(
        self, inputs: Sequence[Any], options: Any, on_batch: Callable[[int], None]
    ) -> list[Vectors]:
        workers = self._workers
        if not workers:
            raise WorkerError("The pool is closed; make another one with pool(devices).")
        job = next(self._jobs)
        size = max(1, min(math.ceil(len(inputs) / len(workers) / 10), _LARGEST_CHUNK))
        starts = range(0, len(inputs), size)
        left = deque(starts)
        made: dict[int, Vectors] = {}
        while len(made) < len(starts):
            for worker in workers:
                if left and not worker.busy:
                    start = left.popleft()
                    worker.send(job, start, inputs[start : start + size], options)
            for worker in _first_to_answer(workers):
                answered, start, answer = worker.receive()
                if answered != job:  # the rest of an earlier call
                    continue
                if isinstance(answer, InputError) and answer.position is not None:
                    answer.position += start
                if isinstance(answer, MMRagError):
                    raise answer
                made[start] = answer
                on_batch(len(answer))
        return [made[start] for start in starts]


class EncoderPool(Pool):
    """Processes that encode together; close the pool, or use it in a `with` block.

    Args:
        encoder: The encoder, which stays on its device.
        devices: One process per device, such as `["cuda:0", "cuda:1"]` or `["cpu", "cpu"]`.

    Raises:
        InputError: There are no devices, or torch does not know one.
        WorkerError: A process did not start.
    """

    def __init__(self, encoder: Encoder, devices: Sequence[str | torch.device]) -> None:
        self._encoder = encoder
        super().__init__(encoder.chain, _encode, encoder.chain.lock, devices)

    def encode(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode as `Encoder.encode` does, with the same options."""
        # Encoder.encode checks the arguments, and calls `run` of this pool.
        return self._encoder.encode(inputs, **{**options, "devices": self})

    def encode_query(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode queries as `Encoder.encode_query` does."""
        return self._encoder.encode_query(inputs, **{**options, "devices": self})

    def encode_document(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode documents as `Encoder.encode_document` does."""
        return self._encoder.encode_document(inputs, **{**options, "devices": self})


class RerankerPool(Pool):
    """Processes that score pairs together; close the pool, or use it in a `with` block.

    Args:
        reranker: The reranker, which stays on its device.
        devices: One process per device, such as `["cuda:0", "cuda:1"]` or `["cpu", "cpu"]`.

    Raises:
        InputError: There are no devices, or torch does not know one.
        WorkerError: A process did not start.
    """

    def __init__(self, reranker: Reranker, devices: Sequence[str | torch.device]) -> None:
        self._reranker = reranker
        super().__init__(reranker.model, _score, reranker.model.lock, devices)

    def predict(self, pairs: Any, **options: Unpack[PredictOptions]) -> Scores:
        """Score pairs as `Reranker.predict` does, with the same options."""
        return self._reranker.predict(pairs, **{**options, "devices": self})

    def rank(
        self,
        query: Any,
        documents: Iterable[Any],
        top_k: int | None = None,
        **options: Unpack[PredictOptions],
    ) -> list[Ranked]:
        """Order documents, as `Reranker.rank` does."""
        return self._reranker.rank(query, documents, top_k, **{**options, "devices": self})


class _Worker:
    """A worker process, as seen by the process that started it."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.busy = True
        self._started = False
        context = get_context("spawn")  # a fork breaks CUDA, and threads can deadlock in it
        self.connection, other = context.Pipe()
        # The model is sent later: data sent with the start must fit into a pipe, or this process
        # hangs if the other one dies before it has read them (because of a missing guard).
        self._process = context.Process(target=_serve, args=(other, device, threads), daemon=True)
        try:
            self._process.start()
        except (OSError, RuntimeError) as error:
            raise WorkerError(f"The worker on {device} did not start: {error}. {_GUARD}") from error
        finally:
            other.close()

    def give(self, model: nn.Module, work: Work) -> None:
        """Send the model; torch pickles shared memory as a handle."""
        try:
            self.connection.send((model, work))
        except OSError as error:
            raise self._death() from error
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise WorkerError(
                f"The model cannot be sent to another process: {error}. Custom modules must be "
                "picklable, without lambdas, locks or open files."
            ) from error

    def send(self, job: int, start: int, inputs: Sequence[Any], options: Any) -> None:
        """Send a chunk of the inputs, which begins at position `start`."""
        try:
            self.connection.send((job, start, inputs, options))
        except OSError as error:
            raise self._death() from error
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise InputError(
                f"The inputs {start} to {start + len(inputs) - 1} cannot be sent to another "
                f"process: {error}. Give files, bytes or arrays instead, or use one device."
            ) from error
        self.busy = True

    def receive(self) -> tuple[int, int, Any]:
        """Wait for an answer: the job, the start of the chunk, and its vectors or an error."""
        try:
            job, start, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(answer, WorkerError):
            raise answer
        self.busy, self._started = False, True
        return job, start, answer

    def end(self) -> None:
        """Kill the process; it has no state that must be saved."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()

    def _death(self) -> WorkerError:
        self._process.join(timeout=1)
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        hint = "The system may have run out of memory." if self._started else _GUARD
        return WorkerError(
            f"The worker on {self.device} (process {self._process.pid}) died of {how}; its own "
            f"messages are in the output above. {hint}"
        )


def _first_to_answer(workers: Sequence[_Worker]) -> list[_Worker]:
    by_connection = {worker.connection: worker for worker in workers if worker.busy}
    return [by_connection[cast("Connection", ready)] for ready in wait(list(by_connection))]


def _checked_devices(devices: Sequence[str | torch.device]) -> list[torch.device]:
    if isinstance(devices, str) or not devices:
        raise InputError(
            f"A pool takes a list of devices, such as ['cpu', 'cpu']; got {devices!r}."
        )
    try:
        return [torch.device(device) for device in devices]
    except (RuntimeError, TypeError) as error:
        raise InputError(f"torch knows no such device: {error}") from error


def _sharing(model: nn.Module) -> nn.Module:
    """Move a model's weights on the CPU to shared memory, or copy those of other devices there.

    Returns:
        The model, or a copy of it on the CPU.
    """
    weights = list({id(w): w for w in (*model.parameters(), *model.buffers())}.values())
    shared = _shared(weights)
    if all(weight.device.type == "cpu" for weight in weights):
        for weight, held in zip(weights, shared, strict=True):
            weight.data = held
        return model
    copies: dict[int, Any] = {
        id(weight): nn.Parameter(held, requires_grad=False)
        if isinstance(weight, nn.Parameter)
        else held
        for weight, held in zip(weights, shared, strict=True)
    }
    return copy.deepcopy(model, copies)


def _shared(weights: Sequence[Tensor]) -> list[Tensor]:
    """Copy weights to one block of shared memory.

    Every block is an open file. A model may have thousands of weights, and a process by default
    has 1024 open files.
    """
    sizes = [-(-weight.nbytes // _ALIGNMENT) * _ALIGNMENT for weight in weights]
    memory = torch.empty(sum(sizes), dtype=torch.uint8).share_memory_()
    copies: list[Tensor] = []
    for weight, part in zip(weights, memory.split(sizes), strict=True):
        held = part[: weight.nbytes].view(weight.dtype).view(weight.shape)
        copies.append(held.copy_(weight.detach()))
    return copies


def _serve(connection: Connection, device: torch.device, threads: int) -> None:
    """Run a worker: receive the model, then chunks of inputs, until the pipe is closed."""
    # Ctrl-C reaches every process of a terminal; the process that started this one kills it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):  # the pool is gone
        _answer(connection, _START, 0, partial(_settle, device, threads))
        model, work = cast("tuple[nn.Module, Work]", connection.recv())
        _answer(connection, _START, 0, partial(_move, model, device))
        while True:
            job, start, inputs, options = connection.recv()
            _answer(connection, job, start, partial(work, model, inputs, options))


def _settle(device: torch.device, threads: int) -> None:
    if device.type == "cpu":
        torch.set_num_threads(threads)


def _move(model: nn.Module, device: torch.device) -> None:
    model.to(device)


def _encode(chain: Any, contents: Sequence[Content], options: BatchOptions) -> Vectors:
    return sentence_vectors(chain, contents, options).cpu().numpy()


def _score(model: Any, pairs: Sequence[PairOrChat], options: ScoreOptions) -> Vectors:
    return model.score(pairs, options).numpy()


def _answer(connection: Connection, job: int, start: int, work: Callable[[], Any]) -> None:
    try:
        answer = work()
    except MMRagError as error:
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        answer = error
    except Exception as error:
        failure = WorkerError(f"A worker failed with {type(error).__name__}: {error}")
        failure.add_note(f"In the worker:\n{traceback.format_exc()}")
        connection.send((job, start, failure))
        raise SystemExit(1) from error
    connection.send((job, start, answer))
