"""Which pairs share a beginning, how long it is, and which of them fit in a row together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from mm_rag.content import Chat, Text, Turn, content_key
from mm_rag.preprocessing.pairs import Asked, as_messages, question_of
from mm_rag.rerankers.prefix_sharing.pair_tokenizer import Row

# Documents that are made ready at once: rows of text are small, what is seen of pictures is not.
_ROWS = 256
_MEDIA = 16


@dataclass(frozen=True)
class Group:
    """Pairs that are likely to begin alike.

    Attributes:
        pairs: By their position in the call.
        shared: The keys of the media that are in all of them.
    """

    pairs: Mapping[int, Asked]
    shared: frozenset[Hashable] = frozenset()

    def chunks(self) -> list[dict[int, Asked]]:
        """The pairs, as many at a time as may be in memory."""
        chunks: list[dict[int, Asked]] = []
        media = _MEDIA
        for position, asked in self.pairs.items():
            keys = _media_keys(as_messages(asked).turns)
            own = len([key for key in keys if key not in self.shared])
            media += own
            if not chunks or media > _MEDIA or len(chunks[-1]) == _ROWS:
                chunks.append({})
                media = own
            chunks[-1][position] = asked
        return chunks


def groups_of(pairs: Mapping[int, Asked]) -> list[Group]:
    """One group for each query that has several documents, and one for all other pairs."""
    by_query: defaultdict[Hashable, dict[int, Asked]] = defaultdict(dict)
    for position, asked in pairs.items():
        by_query[_question_key(asked)][position] = asked
    groups: list[Group] = []
    single: dict[int, Asked] = {}
    for same in by_query.values():
        if len(same) == 1:
            single |= same
        else:
            question = _question(next(iter(same.values())))
            groups.append(Group(same, frozenset(_media_keys(question))))
    return [*groups, *([Group(single)] if single else [])]


def shared_length(rows: Sequence[Row], lasts: Iterable[int]) -> int:
    """How many first tokens all rows share.

    Args:
        rows: The rows.
        lasts: The places of tokens that are not to be among them, one of each row.
    """
    length = min(*(_common(rows[0], row) for row in rows), *lasts, len(rows[0].ids))
    within = [medium.start for medium in rows[0].media if medium.start < length < medium.end]
    return min([length, *within])


def packs_of(rows: Mapping[int, Row], prefix: int, *, tokens: int, most: int) -> list[list[int]]:
    """Positions of rows to compute together, in order.

    Args:
        rows: By position.
        prefix: First tokens that they share, and which do not count.
        tokens: Tokens in a pack at most; one row may be longer.
        most: Rows in a pack at most.
    """
    packs: list[list[int]] = []
    filled = 0
    for position, row in rows.items():
        own = len(row.ids) - prefix
        if not packs or filled + own > tokens or len(packs[-1]) == most:
            packs.append([])
            filled = 0
        packs[-1].append(position)
        filled += own
    return packs


def _question(asked: Asked) -> tuple[Turn, ...]:
    return question_of(as_messages(asked))


def _question_key(asked: Asked) -> Hashable:
    question = _question(asked)
    return content_key(Chat(question)) if question else None  # a conversation of one message


def _media_keys(turns: Sequence[Turn]) -> list[Hashable]:
    parts = [part for turn in turns for part in turn.parts]
    return [content_key(part) for part in parts if not isinstance(part, Text)]


def _common(one: Row, other: Row) -> int:
    """How many first tokens two rows share; media are told apart by what they show.

    The tokens that stand for two pictures are the same, whatever the pictures are.
    """
    both = enumerate(zip(one.ids, other.ids, strict=False))
    most = min(len(one.ids), len(other.ids))
    length = next((place for place, (ours, theirs) in both if ours != theirs), most)
    for ours, theirs in zip_longest(one.media, other.media):
        if ours is None or theirs is None or ours.key != theirs.key:
            return min([length, *(medium.start for medium in (ours, theirs) if medium)])
    return length
