"""load_cached: load files, without reading unchanged ones again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import mm_rag
from mm_rag.errors import InputError, StorageError
from mm_rag.media.access import real_file
from mm_rag.record import segment_from_json, segment_to_json
from mm_rag.segment import Segment
from mm_rag_loaders.file_stamp import reader_stamp
from mm_rag_loaders.load_options import LoadOptions
from mm_rag_loaders.loader import local_path
from mm_rag_loaders.loading import load_files, log_outcome
from mm_rag_loaders.sources import Source, Sources, find_sources

_NO_SETTINGS = frozenset({"assets", "password", "transcriber", "workers"})
"""Fields of LoadOptions that do not make a cache entry invalid. Recordings have the transcriber in
their reader stamp."""


def load_cached(
    sources: Sources, cache_folder: str | Path, options: LoadOptions | None = None
) -> Iterator[Segment]:
    """Read files as `load` does, in the same order, but only those that changed.

    A file is unchanged while its size, modification time and subtitles, the options and the version
    of mm-rag are the same. Addresses are fetched and read each time, and so are files that could
    not be read completely. Entries of deleted files stay: delete the folder to start over.

    Args:
        sources: Files, folders, patterns and addresses.
        cache_folder: Holds the segments in plain text, those of locked files too, and page
            pictures.
        options: As for `load`; pictures go to the cache folder, whatever `assets` says.

    Raises:
        InputError: A path does not exist, or a pattern matches nothing.
        WorkerError: No worker process can be started.
        StorageError: The folder is not writable.
    """
    return _Cache(Path(cache_folder).absolute(), options or LoadOptions()).load(sources)


@dataclass(frozen=True)
class _Stamp:
    """Conditions that must be unchanged for a cache entry to be valid."""

    settings: str
    size: int
    mtime_ns: int
    beside: str


class _Cache:
    def __init__(self, folder: Path, options: LoadOptions) -> None:
        self._entries = folder / "files"
        self._options = replace(options, assets=replace(options.assets, root=folder / "assets"))
        self._settings = _settings_of(self._options)

    def load(self, sources: Sources) -> Iterator[Segment]:
        found = find_sources(sources)
        return self._load(found)

    def _load(self, sources: list[Source]) -> Iterator[Segment]:
        stamps = [self._stamp(source) for source in sources]
        known = [self._known(source, stamp) for source, stamp in zip(sources, stamps, strict=True)]
        unknown = [s for s, segments in zip(sources, known, strict=True) if segments is None]
        read = load_files(unknown, self._options)
        for source, stamp, segments in zip(sources, stamps, known, strict=True):
            if segments is not None:
                yield from segments
                continue
            outcome = next(read)
            log_outcome(outcome)
            if outcome.state == "loaded" and not outcome.incomplete and stamp is not None:
                self._keep(source, stamp, outcome.segments)
            yield from outcome.segments

    def _stamp(self, source: Source) -> _Stamp | None:
        """The stamp of a file now; None for an address, and for a file that cannot be opened."""
        if not isinstance(source.location, Path):
            return None
        try:
            path = local_path(source, self._options)
            real_file(path, self._options.policy)
            stat = path.stat()
            beside = reader_stamp(path, self._options.transcriber)
        except (InputError, OSError):
            return None  # the loader says why
        return _Stamp(self._settings, stat.st_size, stat.st_mtime_ns, beside)

    def _known(self, source: Source, stamp: _Stamp | None) -> list[Segment] | None:
        """The cached segments of a file; None if it must be read."""
        try:
            entry: Any = json.loads(self._entry(source).read_text(encoding="utf-8"))
            if stamp is None or entry["stamp"] != asdict(stamp):
                return None
            segments = [segment_from_json(record) for record in entry["segments"]]
        except (OSError, ValueError, KeyError, TypeError):  # missing or damaged
            return None
        return segments if all(map(self._is_whole, segments)) else None

    def _is_whole(self, segment: Segment) -> bool:
        assets = str(self._options.assets.root)
        kept = filter(None, (segment.media, segment.preview, segment.boxes))
        return all(Path(path).is_file() for path in kept if path.startswith(assets))

    def _keep(self, source: Source, stamp: _Stamp, segments: tuple[Segment, ...]) -> None:
        records = [segment_to_json(segment) for segment in segments]
        path = self._entry(source)
        half = path.with_suffix(".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            half.write_text(json.dumps({"stamp": asdict(stamp), "segments": records}), "utf-8")
            half.replace(path)
        except OSError as error:
            raise StorageError(
                f"Nothing can be written to {path.parent}: {error.strerror}. Make room there, or "
                "name another cache_folder."
            ) from error

    def _entry(self, source: Source) -> Path:
        name = hashlib.sha256(str(source).encode("utf-8", "surrogatepass")).hexdigest()
        return self._entries / f"{name}.json"


def _settings_of(options: LoadOptions) -> str:
    """Hash of everything but the file that determines its segments."""
    names = [field.name for field in fields(options) if field.name not in _NO_SETTINGS]
    settings: dict[str, Any] = {name: getattr(options, name) for name in names}
    settings["policy"] = asdict(options.policy)
    settings["version"] = mm_rag.__version__
    plain = json.dumps(settings, sort_keys=True, default=_plain)
    return hashlib.sha256(plain.encode()).hexdigest()


def _plain(value: Any) -> Any:
    return sorted(map(str, value)) if isinstance(value, frozenset) else str(value)
