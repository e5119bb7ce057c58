"""Attributes that a class declares, so that a misspelt one is no silent addition."""

from __future__ import annotations

from difflib import get_close_matches

from mm_rag.errors import UnknownAttribute


def check_attribute(owner: object, kind: type, name: str) -> None:
    """See that an attribute that is assigned is one of `kind`, where `owner` is exactly that.

    Raises:
        UnknownAttribute: Assigning it would do nothing. Subclasses may have what they like.
    """
    if type(owner) is not kind or hasattr(kind, name) or name in kind.__annotations__:
        return
    known = sorted(one for one in {*vars(kind), *kind.__annotations__} if not one.startswith("_"))
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}."
    raise UnknownAttribute(f"{kind.__name__} has no attribute {name!r} that could be set; {hint}")
