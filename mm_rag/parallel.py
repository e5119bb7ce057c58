"""Encoding and reranking on several devices, or in several processes on one.

Every worker is a process of its own that holds the model. It gets a chunk of the inputs, answers
with their vectors or scores, and gets the next, so that a slow chunk delays no other. A worker that
dies closes its pipe, which is an error here instead of a wait without end.
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
from mm_rag.preprocessing.pairs import PairOrChat
from mm_rag.rerankers.model import ScoreOptions

if TYPE_CHECKING:
    from mm_rag.encoder import Encoder
    from mm_rag.options import EncodeOptions
    from mm_rag.reranker import PredictOptions, Ranked, Reranker, Scores

Vectors: TypeAlias = npt.NDArray[Any]
Work: TypeAlias = Callable[[Any, Sequence[Any], Any], Vectors]

_LARGEST_CHUNK = 5000  # inputs
_ALIGNMENT = 64  # bytes: a line of a CPU's cache, more than any instruction asks for
_START = -1  # the job of a worker that has no inputs yet
_GUARD = (
    "Workers import the script that starts them, so what starts them has to lie under "
    "`if __name__ == '__main__':` there."
)


class Pool(Closing):
    """Processes that run one model together; close it, or use it in a `with` block.

    The weights on the CPU lie in memory that all processes share, the model's own included.

    Args:
        model: The model, which is not moved.
        work: What a worker does with a chunk of the inputs; a function of a module.
        lock: Held while the model is used here.
        devices: One process for each, such as `["cuda:0", "cuda:1"]`; `["cpu", "cpu"]` is two.

    Raises:
        InputError: There are no devices, or torch knows no such one.
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
        places = _places(devices)
        on_cpu = sum(place.type == "cpu" for place in places)
        threads = max(1, torch.get_num_threads() // max(1, on_cpu))
        try:
            self._workers.extend(_Worker(place, threads) for place in places)
            # Sharing the weights moves them, so the model must not run meanwhile.
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
        done: Callable[[int], None] = lambda count: None,
    ) -> Vectors:
        """Run the model over inputs; one caller at a time, others wait.

        Args:
            inputs: At least one, in any order, of modalities that the model takes.
            options: How they are run.
            done: Called with the number of inputs of every finished chunk.

        Returns:
            A row for each input, float32.

        Raises:
            WorkerError: A worker died, or the pool is closed.
            MMRagError: Whatever the model raises; the other chunks are dropped, and the pool goes
                on.
        """
        with self._lock:
            try:
                return np.concatenate(self._answers(inputs, options, done))
            except BaseException as error:
                # A worker that says what is wrong with an input goes on. Any other trouble, an
                # interrupt included, leaves the pipes in an unknown state.
                if isinstance(error, WorkerError) or not isinstance(error, MMRagError):
                    self.close()
                raise

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end()

    def _answers(
        self, inputs: Sequence[Any], options: Any, done: Callable[[int], None]
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
                if answered != job:  # what an earlier call left unfinished
                    continue
                if isinstance(answer, InputError) and answer.position is not None:
                    answer.position += start
                if isinstance(answer, MMRagError):
                    raise answer
                made[start] = answer
                done(len(answer))
        return [made[start] for start in starts]


class EncoderPool(Pool):
    """Processes that encode together; close it, or use it in a `with` block.

    Args:
        encoder: The encoder, which is not moved.
        devices: One process for each, such as `["cuda:0", "cuda:1"]`; `["cpu", "cpu"]` is two.

    Raises:
        InputError: There are no devices, or torch knows no such one.
        WorkerError: A process did not start.
    """

    def __init__(self, encoder: Encoder, devices: Sequence[str | torch.device]) -> None:
        self._encoder = encoder
        super().__init__(encoder.chain, _encode, encoder.chain.lock, devices)

    def encode(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode here, as `Encoder.encode` does: the same options, the same vectors."""
        return self._encoder.encode(inputs, **{**options, "devices": self})

    def encode_query(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode what is searched with, as `Encoder.encode_query` does."""
        return self._encoder.encode_query(inputs, **{**options, "devices": self})

    def encode_document(self, inputs: Any, **options: Unpack[EncodeOptions]) -> Vectors:
        """Encode what is searched in, as `Encoder.encode_document` does."""
        return self._encoder.encode_document(inputs, **{**options, "devices": self})


class RerankerPool(Pool):
    """Processes that score pairs together; close it, or use it in a `with` block.

    Args:
        reranker: The reranker, which is not moved.
        devices: One process for each, such as `["cuda:0", "cuda:1"]`; `["cpu", "cpu"]` is two.

    Raises:
        InputError: There are no devices, or torch knows no such one.
        WorkerError: A process did not start.
    """

    def __init__(self, reranker: Reranker, devices: Sequence[str | torch.device]) -> None:
        self._reranker = reranker
        super().__init__(reranker.model, _score, reranker.model.lock, devices)

    def predict(self, pairs: Any, **options: Unpack[PredictOptions]) -> Scores:
        """Score pairs here, as `Reranker.predict` does: the same options, the same scores."""
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
    """A process, seen from the one that started it."""

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.busy = True
        self._started = False
        context = get_context("spawn")  # CUDA does not survive a fork, and threads can hang in one
        self.connection, other = context.Pipe()
        # The encoder follows later: what goes along with the start must fit into a pipe, or a
        # process that dies before it has read it (for want of a guard) leaves this one hanging.
        self._process = context.Process(target=_serve, args=(other, device, threads), daemon=True)
        try:
            self._process.start()
        except (OSError, RuntimeError) as error:
            raise WorkerError(f"The worker on {device} did not start: {error}. {_GUARD}") from error
        finally:
            other.close()

    def give(self, model: nn.Module, work: Work) -> None:
        """Give it the model; torch has taught pickle to pass memory on instead of bytes."""
        try:
            self.connection.send((model, work))
        except OSError as error:
            raise self._death() from error
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise WorkerError(
                f"The model cannot be sent to another process: {error}. Custom modules have to "
                "pickle: no lambdas, locks or open files in them."
            ) from error

    def send(self, job: int, start: int, inputs: Sequence[Any], options: Any) -> None:
        """Give it a chunk of the inputs, which begins at `start`."""
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
        """Wait for its answer: the job, the start of the chunk, and its vectors or an error."""
        try:
            job, start, answer = self.connection.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(answer, WorkerError):
            raise answer
        self.busy, self._started = False, True
        return job, start, answer

    def end(self) -> None:
        """Kill it: it holds nothing that has to be finished."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join()

    def _death(self) -> WorkerError:
        self._process.join(timeout=1)
        code = self._process.exitcode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        hint = "The system may have run out of memory." if self._started else _GUARD
        return WorkerError(
            f"The worker on {self.device} (process {self._process.pid}) died of {how}; what it "
            f"had to say is in the output above. {hint}"
        )


def _first_to_answer(workers: Sequence[_Worker]) -> list[_Worker]:
    by_connection = {worker.connection: worker for worker in workers if worker.busy}
    return [by_connection[cast("Connection", ready)] for ready in wait(list(by_connection))]


def _places(devices: Sequence[str | torch.device]) -> list[torch.device]:
    if isinstance(devices, str) or not devices:
        raise InputError(
            f"A pool takes a list of devices, such as ['cpu', 'cpu']; got {devices!r}."
        )
    try:
        return [torch.device(device) for device in devices]
    except (RuntimeError, TypeError) as error:
        raise InputError(f"torch knows no such device: {error}") from error


def _sharing(model: nn.Module) -> nn.Module:
    """The model, or a copy on the CPU of one that is elsewhere, with weights that are shared.

    Only the CPU's memory reaches every process and every device.
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
    """Copies in one piece of shared memory.

    Every piece is an open file. A model may have thousands of weights, and a process, where nobody
    has raised that limit, 1024 open files.
    """
    sizes = [-(-weight.nbytes // _ALIGNMENT) * _ALIGNMENT for weight in weights]
    memory = torch.empty(sum(sizes), dtype=torch.uint8).share_memory_()
    copies: list[Tensor] = []
    for weight, part in zip(weights, memory.split(sizes), strict=True):
        held = part[: weight.nbytes].view(weight.dtype).view(weight.shape)
        copies.append(held.copy_(weight.detach()))
    return copies


def _serve(connection: Connection, device: torch.device, threads: int) -> None:
    """The life of a worker."""
    # Ctrl-C reaches every process of a terminal; the one that started this one ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):  # nobody is left who asks
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
