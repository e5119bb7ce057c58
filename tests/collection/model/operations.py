"""What may happen to a folder and its collection: a table of operations with their frequency."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mm_rag import Collection, Encoder, Segment
from mm_rag_loaders import LoadOptions
from tests.collection.model.expected import Document, Model, loose_segment
from tests.collection.model.stored import lexical_documents, stored_segments
from tests.collection.model.victim import Errand, Hunter

FOLDERS = (".", "deep", "deep/deeper", "other")
MOST_FILES = 30
LOOSE = 12
EVERYTHING = 200
COMMON = [
    "the",
    "of",
    "ferry",
    "island",
    "bread",
    "valve",
    "pressure",
    "tide",
    "garden",
    "report",
    "harbour",
    "engine",
]
OPTIONS = LoadOptions(workers=0)


class Difference(Exception):
    """The collection is not what it must be."""


@dataclass
class World:
    """Everything that an operation may touch.

    Attributes:
        model: What must be.
        collection: What is.
        encoder: Its model.
        chance: Where all randomness comes from.
        hunter: Kills.
        syncs: How many were done.
    """

    model: Model
    collection: Collection
    encoder: Encoder
    chance: random.Random
    hunter: Hunter
    syncs: int = 0
    _named: int = field(default=0)

    def document(self) -> Document:
        """A new text with a word of its own, of one passage to three."""
        letters = "".join(self.chance.choices("bcdfghjklmnpqrtvwxz", k=12))
        words = self.chance.choices(COMMON, k=self.chance.choice((6, 20, 60, 200, 400)))
        words.insert(self.chance.randrange(len(words)), letters)
        heading = f"# {self.chance.choice(COMMON)}\n\n" if self.chance.random() < 0.5 else ""
        return Document(heading + " ".join(words), letters)

    def new_path(self) -> Path:
        """Where nothing was ever, or something once was."""
        folder = self.model.root / self.chance.choice(FOLDERS)
        if self.chance.random() < 0.7:
            self._named += 1
        number = self._named if self.chance.random() < 0.7 else self.chance.randint(0, self._named)
        suffix = self.chance.choice((".txt", ".md"))
        return folder / f"{self.chance.choice(COMMON)}-note-{number}{suffix}"

    def some_file(self) -> Path | None:
        """One that is on disk."""
        return self.chance.choice(sorted(self.model.disk)) if self.model.disk else None

    def put(self, path: Path, document: Document) -> None:
        """Write a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.text)
        if path in self.model.disk:
            self.model.gone.append(self.model.disk[path].word)
        self.model.disk[path] = document


def write(world: World) -> None:
    """A new file."""
    if len(world.model.disk) < MOST_FILES:
        world.put(world.new_path(), world.document())


def change(world: World) -> None:
    """Another content for a file that is there."""
    if path := world.some_file():
        world.put(path, world.document())


def empty(world: World) -> None:
    """A file without words, which gives no Segments."""
    world.put(world.some_file() or world.new_path(), Document("", ""))


def delete(world: World) -> None:
    """A file less."""
    if path := world.some_file():
        path.unlink()
        world.model.gone.append(world.model.disk.pop(path).word)


def delete_folder(world: World) -> None:
    """A folder less, with all that is in it."""
    folder = world.model.root / world.chance.choice(FOLDERS[1:])
    shutil.rmtree(folder, ignore_errors=True)
    for path in [path for path in world.model.disk if path.is_relative_to(folder)]:
        world.model.gone.append(world.model.disk.pop(path).word)


def move(world: World) -> None:
    """A file with another name, in the same folder or another, perhaps over a third."""
    path, target = world.some_file(), world.new_path()
    if path and path != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        if target in world.model.disk:
            world.model.gone.append(world.model.disk[target].word)
        world.model.disk[target] = world.model.disk.pop(path)


def swap(world: World) -> None:
    """Two files with each other's content, sizes and times included."""
    one, other = world.some_file(), world.some_file()
    if one and other and one != other:
        aside = world.model.root.parent / "aside"
        one.replace(aside)
        other.replace(one)
        aside.replace(other)
        disk = world.model.disk
        disk[one], disk[other] = disk[other], disk[one]


def copy(world: World) -> None:
    """A second file with the same content."""
    path, target = world.some_file(), world.new_path()
    if path and path != target and len(world.model.disk) < MOST_FILES:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target in world.model.disk:
            world.model.gone.append(world.model.disk[target].word)
        shutil.copy(path, target)
        world.model.disk[target] = world.model.disk[path]


def touch(world: World) -> None:
    """Another time, the same content."""
    if path := world.some_file():
        now = time.time() + world.chance.uniform(-1e6, 0.0)
        os.utime(path, (now, now))


def add(world: World) -> None:
    """One Segment or several, new ones or those of before with another text."""
    world.collection.add(_loose(world))


def sync(world: World) -> None:
    """The whole folder."""
    _sync(world, world.model.root)


def sync_a_part(world: World) -> None:
    """One folder of it; what is elsewhere stays as it was."""
    folder = world.model.root / world.chance.choice(FOLDERS[1:])
    folder.mkdir(parents=True, exist_ok=True)
    _sync(world, folder)


def search(world: World) -> None:
    """A word that must be found is, where it is; one that is nowhere is not."""
    known = world.model.words()
    if known:
        word = world.chance.choice(sorted(known))
        _find(world, word, known[word])
    gone = world.chance.choice(world.model.gone) if world.model.gone else ""
    if gone and gone not in known:
        hits = world.collection.search(gone, k=5)
        if any(gone in found.text for hit in hits for found in (hit.segment, *hit.matched)):
            raise Difference(f"{gone} is found, and no file has it any more")


def verify(world: World) -> None:
    """The collection finds itself in order."""
    _compare(world)
    report = world.collection.verify()
    if not report.ok:
        raise Difference(f"verify says {report}")
    if report.segments != len(world.collection):
        raise Difference(f"verify counts {report.segments} of {len(world.collection)}")


def reopen(world: World) -> None:
    """Close it and open it again."""
    path = world.collection.path
    world.collection.close()
    world.collection = Collection(path, encoder=world.encoder)


def kill(world: World, workers: int = 0) -> None:
    """A process that adds and syncs is killed; who searches meanwhile finds what has not changed.

    Then the same is done again, by this process.
    """
    again = reopen if world.chance.random() < 0.3 else None
    added = _loose(world) if world.chance.random() < 0.5 else []
    for _ in range(world.chance.choice((1, 1, 1, 2, 3))):
        path, root = world.collection.path, world.model.root
        world.hunter.hunt(Errand(collection=path, added=added, folder=root, workers=workers))
        if again:
            again(world)
        if words := world.model.unchanged_words():
            word = world.chance.choice(words)
            _find(world, word, world.model.words()[word])
    if added:
        world.collection.add(added)
    _sync(world, world.model.root)


def kill_with_workers(world: World) -> None:
    """The same, with processes that read files."""
    kill(world, workers=2)


OPERATIONS: Mapping[Callable[[World], None], float] = {
    write: 14,
    change: 12,
    empty: 1,
    delete: 6,
    delete_folder: 0.3,
    move: 6,
    swap: 2,
    copy: 4,
    touch: 4,
    add: 2,
    sync: 7,
    sync_a_part: 2,
    search: 34,
    verify: 2,
    reopen: 2,
    kill: 2,
    kill_with_workers: 0.03,
}
"""The operations, and how often each comes."""


def _loose(world: World) -> list[Segment]:
    """Segments to add, of which the model knows already."""
    numbers = world.chance.sample(range(LOOSE), world.chance.randint(1, 4))
    made: list[Segment] = []
    for number in numbers:
        document = world.document()
        segment = loose_segment(number, document.text)
        if segment.id in world.model.added:
            world.model.gone.append(world.model.added[segment.id][0])
        world.model.added[segment.id] = (document.word, segment)
        made.append(segment)
    return made


def _sync(world: World, folder: Path) -> None:
    world.model.root.mkdir(exist_ok=True)
    world.collection.sync(folder, options=OPTIONS, delete_missing=True)
    world.syncs += 1
    world.model.synced(folder, OPTIONS)
    _compare(world)


def _compare(world: World) -> None:
    """Segment by Segment. This is done more often than `verify`, which starts a process."""
    if difference := world.model.difference(stored_segments(world.collection.path)):
        raise Difference(difference)
    words = lexical_documents(world.collection.path)
    if len(world.collection) != words:
        raise Difference(f"{words} documents have the words of {len(world.collection)} Segments")


def _find(world: World, word: str, sources: set[str]) -> None:
    """The lexical index knows the one place that has a word, and the collection shows it."""
    hits = world.collection.search(word, k=EVERYTHING)
    found = [hit for hit in hits if "lexical" in hit.scores]
    texts = [segment.text for hit in found for segment in hit.matched]
    if not any(word in text for text in texts) or {h.segment.source for h in found} - sources:
        where = [hit.segment.source for hit in found]
        raise Difference(f"{word} of {sorted(sources)} is found in {where}")
