"""ChromaProcess: Chroma in a process of its own, for forked children.

Chroma searches with a pool of threads that is made once in a process. A child that is forked later
has the pool without its threads, and every search in it would wait for ever, even after Chroma is
opened again. So a forked child starts another process for Chroma, which ends with the child.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import chromadb.errors
from chromadb.errors import ChromaError, InternalError

from mm_rag._forking import ForkableLock
from mm_rag.errors import CollectionError

_CHILD = Path(__file__).with_name("chroma_process_child.py")


class ChromaProcess:
    """The part of Chroma's client that `VectorStore` uses.

    Args:
        folder: Chroma's folder; None for memory.

    Raises:
        CollectionError: The process cannot be started.
    """

    def __init__(self, folder: Path | None) -> None:
        self._lock = ForkableLock()
        command = [sys.executable, "-P", str(_CHILD), str(folder or "")]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError as error:
            raise CollectionError(
                "A forked process needs another process for Chroma, which cannot be started "
                f"({error}). Open the collection after forking, or use the start method 'spawn'."
            ) from error

    def ask(self, target: int | None, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method in the other process.

        Args:
            target: The number of a collection; None for the client.
            method: The method's name.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Raises:
            ChromaError: The method raised it, or the process has ended.
        """
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        with self._lock:
            try:
                pickle.dump((target, method, args, kwargs), pipe_in, protocol=5)
                pipe_in.flush()
                error, result = pickle.load(pipe_out)
            except (OSError, EOFError, ValueError, pickle.UnpicklingError) as lost:
                raise InternalError(f"the process that runs Chroma has ended ({lost})") from lost
        if error is not None:
            raise _as_raised(*error)
        return result

    def get_or_create_collection(self, *args: Any, **kwargs: Any) -> ProcessCollection:
        """Get or create a collection, as Chroma's client does."""
        return ProcessCollection(self, *self.ask(None, "get_or_create_collection", *args, **kwargs))

    def delete_collection(self, name: str) -> None:
        """Delete a collection, as Chroma's client does."""
        self.ask(None, "delete_collection", name)

    def get_max_batch_size(self) -> int:
        """The most records of one call."""
        return self.ask(None, "get_max_batch_size")

    def close(self) -> None:
        """End the process."""
        pipe_in, pipe_out = self._process.stdin, self._process.stdout
        assert pipe_in is not None
        assert pipe_out is not None
        with self._lock:
            pipe_in.close()
            pipe_out.close()
            self._process.wait()


class ProcessCollection:
    """The part of Chroma's `Collection` that `VectorStore` uses."""

    def __init__(
        self, chroma: ChromaProcess, number: int, id_: object, name: str, configuration: Any
    ) -> None:
        self._chroma, self._number = chroma, number
        self.id, self.name, self.configuration_json = id_, name, configuration

    def count(self) -> int:
        """The number of records."""
        return self._chroma.ask(self._number, "count")

    def get(self, **kwargs: Any) -> Any:
        """Get records, as Chroma's `Collection` does."""
        return self._chroma.ask(self._number, "get", **kwargs)

    def query(self, **kwargs: Any) -> Any:
        """Find the nearest records, as Chroma's `Collection` does."""
        return self._chroma.ask(self._number, "query", **kwargs)

    def upsert(self, **kwargs: Any) -> None:
        """Add or replace records, as Chroma's `Collection` does."""
        self._chroma.ask(self._number, "upsert", **kwargs)

    def delete(self, **kwargs: Any) -> None:
        """Delete records, as Chroma's `Collection` does."""
        self._chroma.ask(self._number, "delete", **kwargs)


def _as_raised(name: str, message: str) -> Exception:
    kind = getattr(chromadb.errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ChromaError):
        return kind(message)
    return (ValueError if name == "ValueError" else InternalError)(message)
