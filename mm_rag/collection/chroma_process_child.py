"""Serve a `ChromaProcess`: call methods of Chroma in this process until the input ends.

Requests are pickled as `(target, method, args, kwargs)`, where the target is None for the client
or the number of a collection that was returned before; answers as `(error, result)`.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any, BinaryIO

import chromadb
from chromadb.api.models.Collection import Collection


def answer(client: Any, collections: list[Collection], request: tuple[Any, ...]) -> Any:
    """Call a method; for a collection return its number, id, name and configuration."""
    target, method, args, kwargs = request
    owner = client if target is None else collections[target]
    result = getattr(owner, method)(*args, **kwargs)
    if isinstance(result, Collection):
        collections.append(result)
        return len(collections) - 1, result.id, result.name, result.configuration_json
    return result


def serve(client: Any, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    collections: list[Collection] = []
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        try:
            answered = (None, answer(client, collections, request))
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is not an Exception
            answered = ((type(error).__name__, str(error)), None)
        pickle.dump(answered, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    # Chroma must not print between the answers.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    folder = sys.argv[1]
    opened: Any = chromadb.PersistentClient(folder) if folder else chromadb.EphemeralClient()
    serve(opened, sys.stdin.buffer, output)
