"""Shelf: the part of an embeddings cache that one model has for one use."""

from __future__ import annotations

from typing import Any

from llama_index.core.storage.kvstore.types import BaseKVStore


class Shelf:
    """What a `BaseEmbedding` needs of its cache, in a collection of its own.

    LlamaIndex's keys are the texts alone: without it a query would get the vector of the document
    of the same words, and a model those of another.

    Args:
        cache: Holds the shelves of all.
        name: Of this one.
    """

    def __init__(self, cache: BaseKVStore, name: str) -> None:
        self._cache = cache
        self._name = name

    def get(self, key: str, collection: str) -> Any:
        """What was put there, or None."""
        return self._cache.get(key, collection=f"{collection}-{self._name}")

    async def aget(self, key: str, collection: str) -> Any:
        """As `get`."""
        return await self._cache.aget(key, collection=f"{collection}-{self._name}")

    def put(self, key: str, val: dict[str, Any], collection: str) -> None:
        """Keep vectors."""
        self._cache.put(key, val, collection=f"{collection}-{self._name}")

    async def aput(self, key: str, val: dict[str, Any], collection: str) -> None:
        """As `put`."""
        await self._cache.aput(key, val, collection=f"{collection}-{self._name}")
