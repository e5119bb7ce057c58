"""A collection on a Chroma server: many processes on many machines share it.

What the server holds is the truth. It is three Chroma collections: `<name>`, the Segments with
their vectors, as in a folder; `<name>.catalog`, the files and facts; and, while somebody writes,
`<name>.lock`. The SQLite catalog and the lexical index are a *replica* on each machine, filled from
the server when the collection is opened and brought up to date before every search.

Everything has a revision, and `<name>.catalog` has a head, which says up to which revision all is
written. A commit puts its Segments under the next revision, where no replica looks yet; then files,
removals and the head change in one request: that is the moment from which they are seen.
"""

from __future__ import annotations

from mm_rag.collection.server.home import ServerStorage

__all__ = ["ServerStorage"]
