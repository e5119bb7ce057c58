"""Collection: what users hold."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mm_rag._closing import Closing
from mm_rag.collection.layout import FORMAT_VERSION, Layout
from mm_rag.collection.ledger import Ledger
from mm_rag.collection.lexical import LexicalIndex
from mm_rag.collection.lock import writer_lock
from mm_rag.collection.report import SyncReport, VerifyReport
from mm_rag.collection.reranking import query_words
from mm_rag.collection.search import SearchEngine, modality_filter
from mm_rag.collection.store import VectorStore
from mm_rag.collection.sync import FolderSync
from mm_rag.collection.verify import Inspector
from mm_rag.collection.writer import SegmentWriter
from mm_rag.content import Modality, Text, Url, modality_name
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionMismatch, InputError
from mm_rag.inputs import as_content
from mm_rag.reranker import Reranker
from mm_rag.segment import Hit, Segment
from mm_rag_loaders import AssetStore, LoadOptions, find_sources
from mm_rag_loaders.progress import OnProgress
from mm_rag_loaders.sources import as_source


class Collection(Closing):
    """Pages, pictures, recordings and videos of many files, searched together.

    Args:
        path: A folder for everything it keeps; made if it does not exist.
        encoder: The model that makes vectors. A collection belongs to the model it was made with.
        reranker: The model that scores the best candidates again. None: late interaction over the
            encoder's own token vectors if it is the embedded default, else no reranker.
        name: Several collections may share a folder.
        create: Make it if it does not exist; False for those who only read.

    Raises:
        InputError: The reranker gives several labels, by which nothing can be ordered.
        CollectionMismatch: It was made with another model, or by a newer mm_rag.
        CollectionError: The folder cannot be used, or there is no collection and `create` is False.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        reranker: Reranker | None = None,
        name: str = "default",
        create: bool = True,
    ) -> None:
        if reranker is not None and reranker.num_labels != 1:
            raise InputError(
                f"The reranker {reranker.name} gives {reranker.num_labels} labels, by which "
                "nothing can be ordered. A Collection takes one that gives a single score."
            )
        self._layout = Layout(Path(path).absolute(), name)
        self._layout.prepare(create=create)
        self._given_encoder, self._given_reranker = encoder, reranker
        self._lock = threading.RLock()
        with ExitStack() as undo:
            self._ledger = Ledger(self._layout.ledger)
            undo.callback(self._ledger.close)
            self._check_format()
            self._writes = self._ledger.writes()
            self._store = VectorStore(self._layout.chroma, name)
            undo.callback(self._store.close)
            self._lexical = LexicalIndex(self._layout.lexical)
            if encoder is not None:
                self._check_encoder(encoder)
            undo.pop_all()

    @property
    def path(self) -> Path:
        """Its folder."""
        return self._layout.root

    @cached_property
    def encoder(self) -> Encoder:
        """The model that makes its vectors; the embedded default is loaded when first needed."""
        if self._given_encoder is not None:
            return self._given_encoder
        encoder = Encoder()
        self._check_encoder(encoder)
        return encoder

    @cached_property
    def reranker(self) -> Reranker | None:
        """The model that scores the best candidates again."""
        if self._given_reranker is None and self._given_encoder is None:
            return Reranker(encoder=self.encoder)
        return self._given_reranker

    def __len__(self) -> int:
        """How many Segments there are."""
        return len(self._store)

    def segment_counts(self) -> dict[str, int]:
        """How many Segments there are of each modality."""
        return self._ledger.segment_counts()

    def add(self, segments: Iterable[Segment]) -> int:
        """Add Segments, replacing those of the same id; return how many different ones were given.

        They are not tied to a folder: `sync` will not remove them, unless it also knows their file.

        Raises:
            CollectionLocked: Another process is writing.
        """
        given = list({segment.id: segment for segment in segments}.values())
        with self._writing() as writer:
            writer.write(given)
        return len(given)

    def sync(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        password: str | None = None,
        options: LoadOptions | None = None,
        on_progress: OnProgress | None = None,
    ) -> SyncReport:
        """Make the collection equal to a folder, or to some files and folders.

        New files are indexed, unchanged ones skipped, changed ones replaced, and those that are
        gone from the folders are removed. A run that was killed is finished by running it again.

        Args:
            sources: Files and folders.
            password: Tried on locked documents.
            options: How files are read. Page pictures go to the collection's own folder, whatever
                `assets` says, because they belong to it. With another `transcriber` than before
                recordings and videos are read again.
            on_progress: Told how far it has come: files, pages, seconds of recordings.

        Raises:
            InputError: A source does not exist, or is an address: `add(load(address))` takes those.
            CollectionLocked: Another process is writing.
            CollectionMismatch: Its recordings were heard by a transcriber that `options` does not
                name.
            StorageError: Page pictures cannot be written; the next run finishes what this began.
            WorkerError: No process that reads files can be started.
        """
        options = options or LoadOptions()
        options = replace(
            options,
            assets=AssetStore(self._layout.assets),
            password=options.password if password is None else password,
        )
        given = [sources] if isinstance(sources, str | Path) else sources
        self._check_transcriber(options)
        paths = [_folder_or_file(source) for source in given]
        find_sources(paths)  # what does not exist is an error before anything is written
        with self._writing() as writer:
            if options.transcriber is not None:
                self._ledger.set_meta("transcriber", options.transcriber.name)
            return FolderSync(self.path, self._ledger, writer, options, on_progress).run(paths)

    def search(
        self,
        query: Any,
        k: int = 5,
        *,
        modalities: Iterable[Modality] | None = None,
        where: Mapping[str, Any] | None = None,
        rerank: bool = True,
    ) -> list[Hit]:
        """The `k` places (pages, pictures, clips) that answer a query best.

        Args:
            query: A str is a user's words, whatever it looks like. Also any Content, a Path, a PIL
                image, or a dict such as `{"text": ..., "image": ...}`.
            k: How many, at most.
            modalities: Only Segments of these.
            where: Only Segments whose metadata match this Chroma filter: `{"page": 3}`.
            rerank: Whether to score the best candidates again.

        Raises:
            InputError: `k` is below 1, the query is no input, or Chroma refuses the filter.
        """
        if k < 1:
            raise InputError(f"A search returns at least one hit; got {k = }.")
        content = as_content(Text(_printable(query)) if isinstance(query, str) else query)
        content = self.encoder.read(content)
        is_words = isinstance(content, Text) or self.encoder.reads(modality_name(content))
        if is_words and not query_words(content).strip():
            return []  # nothing was said, and nothing could be read
        reranker = self.reranker if rerank else None
        with self._lock:  # another process may have written: nobody else may use the store then
            self._refresh()
            engine = SearchEngine(self._store, self._lexical, self.encoder, reranker)
            hits = engine.search(content, k, modality_filter(modalities, where))
        twins = self._ledger.duplicates_of
        return [replace(hit, also=twins(hit.segment.sha256)) for hit in hits]

    def verify(self) -> VerifyReport:
        """Compare ledger, vectors, words and files; change nothing."""
        return self._inspector.verify()

    def repair(self) -> VerifyReport:
        """Delete what belongs to nothing, mark damaged files to be indexed again by `sync`.

        Returns:
            What `verify` says afterwards: the marked files are `unfinished`.
        """
        with writer_lock(self._layout.lock):
            self._inspector.repair(self._inspector.verify())
        return self._inspector.verify()

    def close(self) -> None:
        """Let go of the folder."""
        self._store.close()
        self._ledger.close()

    @property
    def _inspector(self) -> Inspector:
        return Inspector(self._store, self._lexical, self._ledger)

    @contextmanager
    def _writing(self) -> Generator[SegmentWriter]:
        encoder = self.encoder  # loaded before anybody has to wait for the lock
        with writer_lock(self._layout.lock):
            self._refresh()
            self._ledger.set_meta("encoder", encoder.fingerprint)
            self._ledger.set_meta("model", encoder.name)
            # Before and after: others must look again, even if this process is killed.
            self._count_write()
            try:
                yield SegmentWriter(self._store, self._lexical, self._ledger, encoder)
            finally:
                self._count_write()

    def _count_write(self) -> None:
        # At one go: a thread that searches in between would take this write for another process's
        # and close the vectors that the writer is using.
        with self._lock:
            self._writes = self._ledger.count_write()

    def _refresh(self) -> None:
        """Open the vectors again if another process has written since.

        Chroma's client keeps its index in memory: it would not find what others wrote, and in
        writing it would lose it.
        """
        with self._lock:
            writes = self._ledger.writes()
            if writes != self._writes:
                self._store.close()
                self._store = VectorStore(self._layout.chroma, self._layout.name)
                self._writes = writes

    def _check_format(self) -> None:
        made_by = self._ledger.meta("format")
        if made_by is None:
            self._ledger.set_meta("format", str(FORMAT_VERSION))
        elif int(made_by) > FORMAT_VERSION:
            raise CollectionMismatch(
                f"{self._layout.root} was made by a newer mm_rag (format {made_by}; this one reads "
                f"up to {FORMAT_VERSION}). Upgrade: pip install -U mm-rag"
            )

    def _check_transcriber(self, options: LoadOptions) -> None:
        heard_by = self._ledger.meta("transcriber")
        if heard_by is not None and options.transcriber is None:
            raise CollectionMismatch(
                f"The recordings in {self._layout.root} were heard by {heard_by}. Name it again: "
                "sync(..., options=LoadOptions(transcriber=...)); or name another, by which they "
                "are then all heard anew, such as PocketSphinxTranscriber()."
            )

    def _check_encoder(self, encoder: Encoder) -> None:
        made_with = self._ledger.meta("encoder")
        if made_with is not None and made_with != encoder.fingerprint:
            raise CollectionMismatch(
                f"{self._layout.root} was made with the model {self._ledger.meta('model')} "
                f"({made_with}), and this is {encoder.name} ({encoder.fingerprint}): their vectors "
                "cannot be mixed. Open it with the model it was made with, or index into another "
                "folder."
            )


def _folder_or_file(given: str | Path) -> Path:
    place = as_source(given).place
    if isinstance(place, Url):
        raise InputError(
            f"sync makes a collection equal to files and folders, and {place.address} is an "
            "address. Load it once: collection.add(load(address))."
        )
    return place


def _printable(query: str) -> str:
    """Half of a surrogate pair, which broken clients send, is no character of any text."""
    return query.encode("utf-8", "replace").decode()
