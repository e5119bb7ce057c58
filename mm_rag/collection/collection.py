"""Collection: everything users do with one collection, method by method."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Unpack, overload
from weakref import WeakValueDictionary

from chromadb.api import ClientAPI

from mm_rag._closing import Closing
from mm_rag._forking import ForkableLock
from mm_rag.built_in import E5_SMALL
from mm_rag.collection.assets import PictureMode, delete, open_assets, orphans
from mm_rag.collection.catalog import Commit, Entry
from mm_rag.collection.contents import CollectionInfo, Contents, SourceRecord
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.pipeline import BATCH
from mm_rag.collection.reindexing import reindex
from mm_rag.collection.report import SyncReport, VerifyReport
from mm_rag.collection.search import (
    Explanation,
    Rerankers,
    Searcher,
    SearchOptions,
    parse_request,
)
from mm_rag.collection.session import Session
from mm_rag.collection.storage import open_storage
from mm_rag.collection.sync import Exclusion, FolderSync, SyncRequest
from mm_rag.collection.verify import Inspector
from mm_rag.collection.writer import SegmentWriter
from mm_rag.content import Modality, Url
from mm_rag.encoder import Encoder
from mm_rag.errors import CheckpointError, CollectionError, InputError, MissingExtra
from mm_rag.media.addresses import shown
from mm_rag.reranker import BUILT_IN_CROSS_ENCODER, Reranker
from mm_rag.segment import Hit, Segment, checked_tags
from mm_rag_loaders import LoadOptions, find_sources
from mm_rag_loaders.outcome import OnProgress
from mm_rag_loaders.sources import as_source

logger = logging.getLogger(__name__)


class Collection(Closing):
    """Pages, pictures, recordings and videos of many files, searched together.

    One process writes at a time, and any number may read; a write is visible once it is complete.

    Args:
        path: A folder for everything the collection keeps, made if it does not exist, which may be
            copied, renamed, or mounted read-only; or `":memory:"`, for as long as it is open.
        encoder: The embedding model; None for the built-in one that the collection was made with,
            or else the default. A collection belongs to the model it was made with.
        reranker: The model that scores the best candidates again. None: with a built-in encoder a
            cross-encoder for English, and for other languages late interaction over the encoder's
            token vectors; no reranker with another encoder.
        name: Several collections may share a folder.
        chroma: A Chroma server that holds the vectors, as an address, `"http://host:8000"`, or as a
            client made by `chromadb.HttpClient`, for a server that asks for credentials. Everything
            else stays in the folder, which remembers the server but no credentials. None: the
            remembered server, or else Chroma's files in the folder.
        create: Whether to make the collection if it does not exist.
        wait: Seconds that writing waits for another writer.
        assets: How page screenshots and key frames are kept: `"jpeg"`, or `"reference"` for not at
            all: hits then refer to the file itself, and `shown` draws their pictures again. None:
            as before, JPEG at first.

    Raises:
        InputError: The reranker has several labels, by which hits cannot be ordered; or `path` or
            `chroma` is of the wrong type.
        CollectionMismatch: It was made with another model, or by a newer mm_rag.
        CollectionError: The folder cannot be used, there is no collection and `create` is False,
            the server does not answer, or the folder's vectors are elsewhere than `chroma` says.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        reranker: Reranker | None = None,
        name: str = "default",
        chroma: str | ClientAPI | None = None,
        create: bool = True,
        wait: float = 0.0,
        assets: PictureMode | None = None,
    ) -> None:
        if reranker is not None and reranker.num_labels != 1:
            raise InputError(
                f"The reranker {reranker.name} has {reranker.num_labels} labels, by which hits "
                "cannot be ordered. A Collection takes one with a single score."
            )
        self._encoder, self._reranker = encoder, reranker
        self._uses_defaults = encoder is None and reranker is None
        self._loading = ForkableLock()  # several first searches may run at once
        with ExitStack() as undo:
            self._session = Session(open_storage(path, name, create=create, chroma=chroma), wait)
            undo.callback(self._session.close)
            last_mode = self._session.catalog.meta("assets")
            self._assets = open_assets(self._session.storage.assets, assets, last_mode)
            undo.callback(self._assets.close)
            if encoder is not None:
                self._session.check_encoder(encoder)
            undo.pop_all()
        self._searcher = Searcher(self._session, self._assets)

    def close(self) -> None:
        """Close the collection's files."""
        self._assets.close()
        self._session.close()

    def __repr__(self) -> str:
        """Its path and name, and its number of segments."""
        storage = self._session.storage
        try:
            held = f"{sum(self._session.catalog.counts().values()):,} segments"
        except CollectionError:
            held = "closed or damaged"
        return f"Collection({storage.place!r}, name={storage.name!r}, {held})"

    @property
    def path(self) -> Path:
        """Its folder; a temporary one if it is in memory."""
        return self._session.storage.folder

    @property
    def encoder(self) -> Encoder:
        """The embedding model; the built-in one is loaded when first needed.

        That is the one that the collection was made with, or else the default. Collections of a
        process that are open at once share it.
        """
        with self._loading:
            if self._encoder is None:
                encoder = _built_in_encoder(self._session.built_in_encoder())
                self._session.check_encoder(encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def reranker(self) -> Reranker | None:
        """The model that scores the best candidates again."""
        with self._loading:
            if self._reranker is None and self._uses_defaults:
                self._reranker = Reranker(encoder=self.encoder)
            return self._reranker

    def _rerankers(self) -> Rerankers:
        """The reranker, and with the defaults the built-in cross-encoder for English texts."""
        reranker = self.reranker
        return Rerankers(reranker, _english_reranker() if self._uses_defaults else None)

    # What is in it.

    @property
    def contents(self) -> Contents:
        """Its files, and the segments of each."""
        return Contents(self._session)

    def __len__(self) -> int:
        """Number of segments."""
        return sum(self.segment_counts().values())

    def list(self) -> builtins.list[SourceRecord]:
        """Every file and address, in the order of their names.

        With its state, number of segments, tags, and when it was read.
        """
        return self.contents.sources()

    def info(self) -> CollectionInfo:
        """Its place and model, and its numbers of files, segments and tags."""
        return self.contents.info()

    def segment_counts(self) -> dict[str, int]:
        """Number of segments of each modality."""
        return self.contents.counts()

    def neighbours(
        self, of: Hit | Segment, *, before: int = 1, after: int = 1
    ) -> builtins.list[Segment]:
        """The segments before and after a page or clip in its file, in order, without itself.

        Args:
            of: A Hit, or a Segment.
            before: Maximum number of pages or clips before it.
            after: Maximum number after it.

        Raises:
            InputError: It is not in the collection, or `before` or `after` is negative.
        """
        segment = of.segment if isinstance(of, Hit) else of
        return self.contents.neighbours(segment, before=before, after=after)

    # Search.

    @overload
    def search(
        self,
        query: Any,
        k: int | None = ...,
        *,
        explain: Literal[False] = ...,
        **options: Unpack[SearchOptions],
    ) -> builtins.list[Hit]: ...
    @overload
    def search(
        self,
        query: Any,
        k: int | None = ...,
        *,
        explain: Literal[True],
        **options: Unpack[SearchOptions],
    ) -> Explanation: ...
    def search(
        self,
        query: Any,
        k: int | None = None,
        *,
        modalities: Iterable[Modality] | Mapping[Modality, int] | None = None,
        where: Mapping[str, Any] | None = None,
        source: str | Path | Sequence[str | Path] | None = None,
        page: int | None = None,
        time: tuple[float, float] | None = None,
        rerank: bool | Literal["alone"] | Iterable[Modality] = True,
        diversity: float = 0.0,
        threshold: float | None = None,
        tags: str | Sequence[str] | None = None,
        explain: bool = False,
    ) -> builtins.list[Hit] | Explanation:
        """Return the pages, pictures and clips that answer a query best.

        Args:
            query: A str is a user's words, whatever it looks like. Also any Content, a Path, a PIL
                image, or a dict such as `{"text": ..., "image": ...}`. In words, `"in quotes"` must
                occur exactly so, and `valv*` is any word that begins so.
            k: Maximum number of hits. None: 5, or the sum of the quotas in `modalities`.
            modalities: Only segments of these; as a dict, at most so many hits of each:
                `{"image": 3, "text": 2}`. A page counts as its best segment, or as another one if
                only that one's quota has room; the hit then shows that segment, not the page.
            where: Only segments whose metadata match this Chroma filter: `{"author": "Ada"}`.
            source: Only of this file, or of the files in this folder, or of several. A copy of an
                indexed file counts as that file.
            page: Only from this page.
            time: Only clips that overlap this span, in seconds; the end may be `math.inf`. For a
                moment, `(30, 30)`, the clips that contain it.
            rerank: Whether to score the best candidates again; or only those of some modalities,
                where a page of a document counts as text: `rerank=["text"]`. A reranker's scores
                are evidence beside vectors and words; with `"alone"` they are the order of the
                candidates that it scored, and `Hit.score` is its probability.
            diversity: From 0, for the best hits, to 1, for hits unlike each other.
            threshold: Minimum `Hit.score`, a probability from 0 to 1. At 0.5 only hits are returned
                that are more likely relevant than not, so an empty list means that nothing relevant
                was found. None returns the `k` best, however unlikely; `Hit.is_relevant` tells.
            tags: Only segments with this tag, or with all of these.
            explain: Whether to also return how the hits were found.

        Raises:
            InputError: `k` is below 1, the query is not a valid input, or Chroma refuses the
                filter.
            CollectionError: The collection cannot be read.
        """
        request = parse_request(
            k,
            self._session.catalog,
            modalities=modalities,
            where=where,
            source=source,
            page=page,
            time=time,
            rerank=rerank,
            diversity=diversity,
            threshold=threshold,
            tags=tags,
        )
        found = self._searcher.search(
            query,
            request,
            encoder=self.encoder,
            rerankers=self._rerankers() if request.rerank else Rerankers(None),
        )
        return found if explain else found.hits

    def shown(self, hits: Sequence[Hit], *, strict: bool = True) -> builtins.list[Hit]:
        """The hits with their pictures, drawn again if the collection keeps none.

        The pictures last as long as the collection is open. Without effect where pictures are kept.

        Args:
            hits: What a search returned.
            strict: Whether a file that is gone or has changed is an error; its hits are returned
                unchanged otherwise, with a warning in the log.

        Raises:
            InputError: A file is gone or has changed, and `strict` is set.
        """
        segments = self._assets.drawn([hit.segment for hit in hits], strict=strict)
        return [replace(hit, segment=new) for hit, new in zip(hits, segments, strict=True)]

    # Changes.

    def add(self, segments: Iterable[Segment], *, tags: str | Sequence[str] | None = None) -> int:
        """Add segments, replacing those with the same id; return how many different ones.

        They are not tied to a folder: `sync` will not remove them, unless it also knows their file.

        Args:
            segments: The segments.
            tags: New tags for all of them; None to keep theirs.

        Raises:
            InputError: The model cannot encode one of them; batches before it are added. Or a tag
                is empty.
            CollectionLocked: Another process is writing.
        """
        if tags is not None:
            tagged = checked_tags(tags)
            segments = (replace(segment, tags=tagged) for segment in segments)
        given = builtins.list({segment.id: segment for segment in segments}.values())
        encoder = self._segment_encoder()
        with self._session.writing() as writer:
            self._session.record_encoder(self.encoder)
            for start in range(0, len(given), BATCH):
                entries = encoder.entries(given[start : start + BATCH])
                writer.stage(entries)
                writer.commit(Commit(added=[entry.segment.id for entry in entries]))
        return len(given)

    def sync(
        self,
        sources: str | Path | Sequence[str | Path],
        *,
        password: str | None = None,
        options: LoadOptions | None = None,
        tags: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] = (),
        delete_missing: bool = False,
        checksum: bool = False,
        on_progress: OnProgress | None = None,
    ) -> SyncReport:
        """Make the collection equal to a folder, or to some files and folders.

        New files are indexed, unchanged ones skipped, changed ones replaced, moved ones renamed
        without reading them, and those no longer in the folders are removed. Until a changed file's
        new segments are complete, its old ones are found. An interrupted run is finished by running
        it again.

        Args:
            sources: Files and folders.
            password: Tried on locked documents.
            options: How files are read. Page pictures go to the collection's own folder, whatever
                `assets` says, because they belong to it. With another `transcriber` than before,
                recordings and videos are read again.
            tags: New tags of all files in these sources: `["2024"]`, or `[]` for none. None: known
                files keep theirs, and new ones have none. A changed tag needs no reading and no
                encoding.
            exclude: Patterns of files and folders to leave out: `"*.tmp"`, `"drafts"`,
                `"drafts/*.pdf"`. Indexed files that match are removed (rsync would keep them). The
                patterns are not stored: pass them every time.
            delete_missing: Allow removing more than half of a folder's indexed files if those are
                more than 3; refused otherwise, because a drive may not be mounted.
            checksum: Compare all files by content. Otherwise a file with unchanged size, times and
                inode counts as unchanged, and is not read.
            on_progress: Called with the progress: files, pages, seconds of recordings.

        Raises:
            InputError: A source does not exist, or is an address: `add(load(address))` takes those.
            CollectionLocked: Another process is writing.
            CollectionMismatch: Its recordings were made with a transcriber that `options` does not
                name.
            FilesMissing: Most files of a folder are gone, and `delete_missing` is not set.
            CollectionError: The disk is full, or the folder not writable; the next run finishes
                what this one began.
            StorageError: The same for page pictures.
            WorkerError: No process that reads files can be started.
        """
        options = options or LoadOptions()
        options = replace(options, password=options.password if password is None else password)
        session = self._session
        transcriber = session.transcriber_for(options.transcriber)
        options = replace(options, transcriber=transcriber)
        request = SyncRequest(
            sources=local_sources([sources] if isinstance(sources, str | Path) else sources),
            exclude=Exclusion(exclude),
            tags=None if tags is None else checked_tags(tags),
            checksum=checksum,
            delete_missing=delete_missing,
        )
        with session.writing() as writer:
            session.record_encoder(self.encoder)
            session.record_transcriber(transcriber)
            session.catalog.set_meta(assets=self._assets.mode)
            self._assets.options = options
            report = self._folder_sync(writer, on_progress).run(request)
            self._delete_orphans(writer)
            if report.count("indexed"):
                session.report_transcribers()
        return report

    def remove(self, source: str | Path | Sequence[str | Path]) -> SyncReport:
        """Remove what comes from a file, an address or a folder, or from several.

        The files themselves stay: a `sync` of their folder indexes them again, unless they are gone
        or excluded. If a removed file has an indexed copy, the copy takes its place.

        Args:
            source: As it was indexed; a relative path counts from the working directory.

        Raises:
            InputError: Nothing comes from there.
            CollectionLocked: Another process is writing.
        """
        self.contents.resolve(source)  # an unknown source is an error before anything is written
        with self._session.writing() as writer:
            report = self._folder_sync(writer).remove(*self.contents.resolve(source))
            self._delete_orphans(writer)
        return report

    def _folder_sync(
        self, writer: SegmentWriter, on_progress: OnProgress | None = None
    ) -> FolderSync:
        return FolderSync(
            self.path,
            self._session.catalog,
            writer,
            self._segment_encoder,
            self._assets.options,
            self._assets,
            on_progress,
        )

    def _segment_encoder(self) -> SegmentEncoder:
        return SegmentEncoder(self.encoder, self._session.catalog)

    def _delete_orphans(self, writer: SegmentWriter) -> None:
        if writer.dropped:
            delete(orphans(self._session.storage, self._session.catalog))

    @classmethod
    def reindex(
        cls,
        path: str | Path,
        *,
        encoder: Encoder | None = None,
        reranker: Reranker | None = None,
        name: str = "default",
        chroma: str | ClientAPI | None = None,
        wait: float = 0.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Collection:
        """Open a collection with another model, and encode everything again without reading files.

        Until that is complete, searches use the old model. An interrupted run is resumed by running
        it again.

        Args:
            path: As for a Collection; so are `encoder`, `reranker`, `name`, `chroma` and `wait`.
            encoder: The other model; None for the built-in default.
            reranker: The model that scores the best candidates again.
            name: The collection's name.
            chroma: The Chroma server that holds its vectors; None for as before.
            wait: Seconds to wait for another writer.
            on_progress: Called with the numbers of encoded segments and of all segments.
        """
        with cls(
            path, reranker=reranker, name=name, chroma=chroma, create=False, wait=wait
        ) as opened:
            session, model = opened._session, encoder or Encoder()
            if session.catalog.meta("encoder") != model.fingerprint:
                with session.writing() as writer:
                    reindex(session.catalog, session.store, writer, model, on_progress)
        return cls(path, encoder=encoder, reranker=reranker, name=name, chroma=chroma, wait=wait)

    # Damage.

    def verify(self) -> VerifyReport:
        """Compare catalog, vectors, lexical index and files; change nothing."""
        if self._session.catalog.is_damaged() or not self._session.indexes_are_readable():
            return VerifyReport(segments=len(self), damaged=True)
        self._session.refresh()
        return self._inspector.verify()

    def repair(self) -> VerifyReport:
        """Repair what can be repaired; mark the rest to be read again by `sync`.

        Chroma and the lexical index are made again from the catalog, completely if they are
        damaged. A damaged row of the catalog is restored from Chroma, or encoded again. Files whose
        pictures are gone or damaged, or of which a segment is lost, are marked to be read again; if
        the catalog's file itself is damaged, what can be read of it is kept, and all files are
        marked.

        Returns:
            What `verify` returns afterwards: the marked files are `unfinished`.

        Raises:
            CollectionLocked: Another process is writing.
            CollectionMismatch: What another program wrote is of another model.
            CollectionError: The catalog cannot even be opened.
        """
        session = self._session
        session.check_writable()
        session.save_catalog()
        report = self.verify()
        if report.damaged:
            session.rebuild()
            report = self.verify()
        with session.writing() as writer:
            if report.strays and session.catalog.meta("encoder") is None:
                session.record_encoder(self.encoder)  # or another model could be mixed in
            lost = self._inspector.repair(writer, report, self._encoded_again)
        report = self.verify()
        if report.missing_vectors or report.missing_words or report.differing:
            session.rebuild()  # what was written again did not arrive
            report = self.verify()
        return replace(report, lost=tuple(sorted(lost)))

    def _encoded_again(self, segments: Sequence[Segment]) -> builtins.list[Entry]:
        return self._segment_encoder().entries(segments)

    @property
    def _inspector(self) -> Inspector:
        session = self._session
        return Inspector(session.store, session.lexical, session.catalog, session.storage)


@cache
def _english_reranker() -> Reranker | None:
    """The built-in cross-encoder, once a process; None if it is not installed or damaged."""
    try:
        return Reranker(BUILT_IN_CROSS_ENCODER)
    except (MissingExtra, CheckpointError) as error:
        logger.warning("English pages are reranked without a cross-encoder. %s", error)
        return None


def local_sources(given: Sequence[str | Path]) -> list[Path]:
    """The absolute paths of files and folders that exist.

    Raises:
        InputError: One does not exist, or is an address.
    """
    places = [as_source(each).location for each in given]
    for place in places:
        if isinstance(place, Url):
            raise InputError(
                f"sync makes a collection equal to files and folders, and {shown(place.address)} "
                "is an address. Load it once: collection.add(load(address))."
            )
    paths = [place for place in places if not isinstance(place, Url)]
    find_sources(paths)
    return paths


# By name. One takes 0.75 GB, and goes when no collection uses it any more.
_built_in_encoders: WeakValueDictionary[str, Encoder] = WeakValueDictionary()
_loading_built_in = ForkableLock()


def _built_in_encoder(name: str | None) -> Encoder:
    """The built-in encoder of this name, or the default; loaded unless a collection uses it."""
    key = name or E5_SMALL
    with _loading_built_in:
        encoder = _built_in_encoders.get(key)
        if encoder is None:
            encoder = _built_in_encoders[key] = Encoder(name)
        return encoder
