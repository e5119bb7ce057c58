"""Worker processes: files are read in parallel, and a crash or a hang is a line in the report.

`pool` (this process) shares sources out among `process`es, each of which runs `child`; what they
find comes back through `wire`.
"""

from __future__ import annotations

from mm_rag_loaders.workers.pool import default_workers, read_in_workers

__all__ = ["default_workers", "read_in_workers"]
