"""Collection: what users hold."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Unpack, overload

from chromadb.api import ClientAPI

from mm_rag._closing import Closing
from mm_rag._forking import ForkableLock
from mm_rag.collection.catalog import Catalog, Commit, Entry
from mm_rag.collection.checks import (
    check_encoder,
    check_reranker,
    check_transcriber,
    folder_or_file,
    note_encoder,
    note_transcriber,
    pictures_of,
)
from mm_rag.collection.contents import Contents
from mm_rag.collection.encoding import SegmentEncoder
from mm_rag.collection.exclusion import Exclusion
from mm_rag.collection.listing import CollectionInfo, SourceRecord, listed, named, summed_up
from mm_rag.collection.pictures import PictureMode, delete, orphans
from mm_rag.collection.pipeline import BATCH
from mm_rag.collection.reindexing import reindex
from mm_rag.collection.report import SyncReport, VerifyReport
from mm_rag.collection.search import Explanation, SearchOptions, checked_request
from mm_rag.collection.searching import explained
from mm_rag.collection.session import Parts
from mm_rag.collection.storage import open_storage
from mm_rag.collection.sync import FolderSync, SyncRequest
from mm_rag.collection.verify import Inspector
from mm_rag.collection.writer import SegmentWriter
from mm_rag.content import Modality
from mm_rag.encoder import Encoder
from mm_rag.errors import CollectionError
from mm_rag.reranker import Reranker
from mm_rag.segment import Hit, Segment, checked_tags
from mm_rag_loaders import LoadOptions, find_sources
from mm_rag_loaders.outcome import OnProgress


class Collection(Closing):
    """Pages, pictures, recordings and videos of many files, searched together.

    One process writes at a time, and many may read; what is written is seen when it is finished.

    Args:
        path: A folder for everything it keeps, made if it does not exist, which may be copied,
            renamed, or mounted read-only; or `":memory:"`, for as long as it is open.
        encoder: The model that makes vectors. A collection belongs to the model it was made with.
        reranker: The model that scores the best candidates again. None: late interaction over the
            encoder's own token vectors if it is the embedded default, else no reranker.
        name: Several collections may share a folder.
        chroma: A Chroma server that holds the vectors, as an address, `"http://host:8000"`, or, for
            one that asks for credentials, as a client made by `chromadb.HttpClient`. Everything
            else stays in the folder, which remembers the server, without credentials: None stands
            for that server, or for Chroma's files in the folder.
        create: Make it if it does not exist; False for those who only read.
        wait: Seconds to wait for another writer, where this one writes.
        assets: How page screenshots and key frames are kept: `"jpeg"`; `"webp"`, which takes half
            the room and eight times as long; `"reference"` for not at all: hits then refer to the
            file itself, and `shown` draws their pictures again. None: as before, JPEG at first.
        max_picture_bytes: Upper bound of the file of a picture that is kept; None for none.

    Raises:
        InputError: The reranker gives several labels, by which nothing can be ordered; `path` or
            `chroma` is of the wrong kind.
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
        max_picture_bytes: int | None = None,
    ) -> None:
        check_reranker(reranker)
        self._encoder, self._reranker = encoder, reranker
        self._by_default = encoder is None and reranker is None
        self._loading = ForkableLock()  # the first searches may be several at once
        self._options = LoadOptions()  # as the last sync was given them
        with ExitStack() as undo:
            self._parts = Parts(open_storage(path, name, create=create, chroma=chroma), wait)
            undo.callback(self._parts.close)
            self._pictures = pictures_of(self._parts, assets, max_picture_bytes)
            undo.callback(self._pictures.close)
            if encoder is not None:
                check_encoder(self._parts, encoder)
            undo.pop_all()

    def __repr__(self) -> str:
        """Where it is, and how much is in it."""
        storage = self._parts.storage
        try:
            held = f"{sum(self._parts.catalog.counts().values()):,} segments"
        except CollectionError:
            held = "closed or damaged"
        return f"Collection({storage.place!r}, name={storage.name!r}, {held})"

    @property
    def path(self) -> Path:
        """Its folder; a temporary one if it is in memory."""
        return self._parts.storage.folder

    @property
    def encoder(self) -> Encoder:
        """The model that makes its vectors; the embedded default is loaded when first needed."""
        with self._loading:
            if self._encoder is None:
                encoder = Encoder()
                check_encoder(self._parts, encoder)
                self._encoder = encoder
            return self._encoder

    @property
    def reranker(self) -> Reranker | None:
        """The model that scores the best candidates again."""
        with self._loading:
            if self._reranker is None and self._by_default:
                self._reranker = Reranker(encoder=self.encoder)
            return self._reranker

    def __len__(self) -> int:
        """How many Segments there are."""
        return sum(self.segment_counts().values())

    @property
    def contents(self) -> Contents:
        """What is in it: its files, and the Segments of each."""
        return Contents(self._parts)

    def list(self) -> builtins.list[SourceRecord]:
        """Every file and address that is known, in the order of their names.

        With its state, how many Segments it gave, its tags, and when it was read.
        """
        self._parts.refresh()
        return listed(self._parts.catalog)

    def info(self) -> CollectionInfo:
        """Where it is, its model, and how many files, Segments and tags there are."""
        self._parts.refresh()
        storage = self._parts.storage
        return summed_up(self._parts.catalog, storage.place, storage.name, storage.vectors)

    def segment_counts(self) -> dict[str, int]:
        """How many Segments there are of each modality."""
        self._parts.refresh()
        return self._parts.catalog.counts()

    def add(self, segments: Iterable[Segment], *, tags: str | Sequence[str] | None = None) -> int:
        """Add Segments, replacing those of the same id; return how many different ones were given.

        They are not tied to a folder: `sync` will not remove them, unless it also knows their file.

        Args:
            segments: The Segments.
            tags: What they are tagged with; None for the tags that they have.

        Raises:
            InputError: The model cannot take one of them; those of batches before it are in. Or a
                tag is empty.
            CollectionLocked: Another process is writing.
        """
        if tags is not None:
            tagged = checked_tags(tags)
            segments = (replace(segment, tags=tagged) for segment in segments)
        given = builtins.list({segment.id: segment for segment in segments}.values())
        encoder = SegmentEncoder(self.encoder, self._parts.catalog)
        with self._parts.writing() as writer:
            note_encoder(self._parts, self.encoder)
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

        New files are indexed, unchanged ones skipped, changed ones replaced, moved ones re-pointed
        without being read, and those that are gone from the folders are removed. A changed file's
        old Segments are found until its new ones are. A run that was killed is finished by running
        it again.

        Args:
            sources: Files and folders.
            password: Tried on locked documents.
            options: How files are read. Page pictures go to the collection's own folder, whatever
                `assets` says, because they belong to it. With another `transcriber` than before
                recordings and videos are read again.
            tags: What all files of these sources are tagged with, instead of before: `["2024"]`, or
                `[]` for none. None: files that are in keep theirs, and new ones have none. A tag
                that changes costs no reading and no encoding.
            exclude: Patterns of files and folders that are left out: `"*.tmp"`, `"drafts"`,
                `"drafts/*.pdf"`. Such files are removed if they are in, other than by rsync, which
                keeps what it excludes. They are not remembered: give them every time.
            delete_missing: Whether more than half of what is in of a folder, and more than 3 files,
                may be removed. That is refused otherwise: a drive may not be mounted.
            checksum: Whether to compare all files by their content. Otherwise a file of which size,
                times and inode are as they were counts as unchanged, and is not read.
            on_progress: Told how far it has come: files, pages, seconds of recordings.

        Raises:
            InputError: A source does not exist, or is an address: `add(load(address))` takes those.
            CollectionLocked: Another process is writing.
            CollectionMismatch: Its recordings were heard by a transcriber that `options` does not
                name.
            FilesMissing: Most files of a folder are gone, and `delete_missing` is not given.
            CollectionError: The disk is full, or the folder not writable; the next run finishes
                what this one began.
            StorageError: The same for page pictures.
            WorkerError: No process that reads files can be started.
        """
        parts, options = self._parts, options or LoadOptions()
        options = replace(options, password=options.password if password is None else password)
        given = [sources] if isinstance(sources, str | Path) else sources
        check_transcriber(parts, options)
        paths = [folder_or_file(source) for source in given]
        find_sources(paths)  # what does not exist is an error before anything is written
        request = SyncRequest(
            sources=paths,
            exclude=Exclusion(exclude),
            tags=None if tags is None else checked_tags(tags),
            checksum=checksum,
            delete_missing=delete_missing,
        )
        with parts.writing() as writer:
            note_encoder(parts, self.encoder)
            parts.catalog.set_meta(assets=self._pictures.mode)
            note_transcriber(parts, options)
            self._options = options
            report = self._syncing(writer, on_progress).run(request)
            self._delete_orphans(writer)
        return report

    def remove(self, source: str | Path | Sequence[str | Path]) -> SyncReport:
        """Remove what comes from a file, an address or a folder, or from several.

        Nothing happens to the files themselves: a `sync` of their folder indexes them again, unless
        they are gone or excluded. Where a file goes of which a copy is in, the copy takes its
        place.

        Args:
            source: As it was indexed; a relative path counts from the working directory.

        Raises:
            InputError: Nothing comes from there.
            CollectionLocked: Another process is writing.
        """
        parts = self._parts
        parts.refresh()
        named(parts.catalog, source)  # what is not in is an error before anything is written
        with parts.writing() as writer:
            report = self._syncing(writer).remove(*named(parts.catalog, source))
            self._delete_orphans(writer)
        return report

    def _syncing(self, writer: SegmentWriter, on_progress: OnProgress | None = None) -> FolderSync:
        catalog, options = self._parts.catalog, self._options

        def encoder() -> SegmentEncoder:
            return SegmentEncoder(self.encoder, catalog)

        return FolderSync(self.path, catalog, writer, encoder, options, self._pictures, on_progress)

    def _delete_orphans(self, writer: SegmentWriter) -> None:
        if writer.dropped:
            delete(orphans(self._parts.storage, self._parts.catalog))

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
        rerank: bool | Iterable[Modality] = True,
        diversity: float = 0.0,
        threshold: float | None = None,
        tags: str | Sequence[str] | None = None,
        explain: bool = False,
    ) -> builtins.list[Hit] | Explanation:
        """The `k` places (pages, pictures, clips) that answer a query best.

        Args:
            query: A str is a user's words, whatever it looks like. Also any Content, a Path, a PIL
                image, or a dict such as `{"text": ..., "image": ...}`. In words, `"in quotes"` must
                stand so, and `valv*` is any word that begins so.
            k: How many, at most. None: 5, or as many as the quotas of `modalities` come to.
            modalities: Only Segments of these; as a dict, at most so many hits of each:
                `{"image": 3, "text": 2}`. A page counts as what matched best on it, or
                as what else did, where there is room only for that; and then that is the Hit's
                Segment, not the page.
            where: Only Segments whose metadata match this Chroma filter: `{"author": "Ada"}`.
            source: Only of this file, or of the files in this folder, or of several. A copy of a
                file that is in counts as that file.
            page: Only from this page.
            time: Only clips that share some time with this span, in seconds; the end may be
                `math.inf`. Of a moment, `(30, 30)`, those that have it in them.
            rerank: Whether to score the best candidates again; or only places of some modalities,
                where a page of a document counts as text: `rerank=["text"]`.
            diversity: Between 0, for the best places, and 1, for places that are unlike each other.
            threshold: The least calibrated score (`Hit.scores["calibrated"]`) of a hit. At 0 a
                Segment is about as near to the query as the nearest of so many unrelated ones
                would be by chance; 1 is a standard deviation more. Of the right answers to 69
                questions about 700 Segments nine in ten were above 0; among a few dozen Segments
                the right one is part of the measure, so begin at -1. Who only shares words with
                the query is held to it, too.
            tags: Only what has this tag, or all of these.
            explain: Whether to say how the hits came about, too.

        Raises:
            InputError: `k` is below 1, the query is no input, or Chroma refuses the filter.
            CollectionError: The collection cannot be read.
        """
        request = checked_request(
            k,
            self._catalog,
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
        found = explained(
            self._parts,
            query,
            request,
            encoder=self.encoder,
            reranker=self.reranker if request.rerank else None,
            shown=self._shown,
        )
        return found if explain else found.hits

    def _catalog(self) -> Catalog:
        self._parts.refresh()
        return self._parts.catalog

    def _shown(self, segments: Sequence[Segment]) -> builtins.list[Segment]:
        return self._pictures.shown(segments, self._options)

    def shown(self, hits: Sequence[Hit]) -> builtins.list[Hit]:
        """The hits with their pictures, drawn again where the collection keeps none.

        They last as long as the collection is open. Nothing is done where pictures are kept.

        Raises:
            InputError: A file is gone, or another one by now.
        """
        segments = self._shown([hit.segment for hit in hits])
        return [replace(hit, segment=new) for hit, new in zip(hits, segments, strict=True)]

    def neighbours(
        self, of: Hit | Segment, *, before: int = 1, after: int = 1
    ) -> builtins.list[Segment]:
        """What comes before and after a page or clip in its file, in order, itself left out.

        Args:
            of: A Hit, or a Segment.
            before: How many pages or clips before it, at most.
            after: How many after it.

        Raises:
            InputError: It is not in the collection, or `before` or `after` is negative.
        """
        return self.contents.neighbours(
            of.segment if isinstance(of, Hit) else of, before=before, after=after
        )

    def verify(self) -> VerifyReport:
        """Compare catalog, vectors, words and files; change nothing."""
        if self._parts.catalog.is_damaged() or not self._parts.are_whole():
            return VerifyReport(segments=len(self), damaged=True)
        self._parts.refresh()
        return self._inspector.verify()

    def repair(self) -> VerifyReport:
        """Heal what can be healed; have `sync` read again what cannot.

        Chroma and the lexical index are made anew from the catalog, wholly if they are damaged. A
        damaged row of the catalog is restored from Chroma, or encoded again. Files whose pictures
        are gone or damaged, or of which a Segment is lost, are marked to be read again; all are
        where the catalog's file itself is damaged, of which what can be read is saved.

        Returns:
            What `verify` says afterwards: the marked files are `unfinished`.

        Raises:
            CollectionLocked: Another process is writing.
            CollectionMismatch: What another program wrote is of another model.
            CollectionError: The catalog cannot even be opened.
        """
        self._parts.check_writable()
        self._parts.save_catalog()
        report = self.verify()
        if report.damaged:
            self._parts.rebuild()
            report = self.verify()
        with self._parts.writing() as writer:
            if report.strays and self._parts.catalog.meta("encoder") is None:
                note_encoder(self._parts, self.encoder)  # or another model could be mixed in
            lost = self._inspector.repair(writer, report, self._encoded_again)
        report = self.verify()
        if report.missing_vectors or report.missing_words or report.differing:
            self._parts.rebuild()  # what was put again did not arrive
            report = self.verify()
        return replace(report, lost=tuple(sorted(lost)))

    def _encoded_again(self, segments: Sequence[Segment]) -> list[Entry]:
        return SegmentEncoder(self.encoder, self._parts.catalog).entries(segments)

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
        """Open a collection with another model, and encode everything anew; no file is read.

        Until all is encoded the old model serves. A run that was killed goes on where it was.

        Args:
            path: As for a Collection; so are `encoder`, `reranker`, `name`, `chroma` and `wait`.
            encoder: The other model; None for the embedded default.
            reranker: The model that scores the best candidates again.
            name: The collection's.
            chroma: The Chroma server that holds its vectors; None for as before.
            wait: Seconds to wait for another writer.
            on_progress: Told how many of how many Segments are done.
        """
        opened = cls(path, reranker=reranker, name=name, chroma=chroma, create=False, wait=wait)
        try:
            parts, encoder = opened._parts, encoder or Encoder()
            if parts.catalog.meta("encoder") != encoder.fingerprint:
                with parts.writing() as writer:
                    reindex(parts.catalog, parts.store, writer, encoder, on_progress)
        finally:
            opened.close()
        return cls(path, encoder=encoder, reranker=reranker, name=name, chroma=chroma, wait=wait)

    def close(self) -> None:
        """Let go of the folder."""
        self._pictures.close()
        self._parts.close()

    @property
    def _inspector(self) -> Inspector:
        parts = self._parts
        return Inspector(parts.store, parts.lexical, parts.catalog, parts.storage)
