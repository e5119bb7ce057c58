"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_COLLECTION = "mm-rag-collection"
DEFAULT_NAME = "default"

CollectionOption = Annotated[
    str,
    typer.Option("--collection", "-c", help="The collection's folder."),
]
ChromaOption = Annotated[
    str | None,
    typer.Option(
        "--chroma",
        help="A Chroma server for the vectors: http://host:8000. The folder remembers it.",
    ),
]
NameOption = Annotated[str, typer.Option(help="Which of the collections that live there.")]
ModelOption = Annotated[
    str | None, typer.Option(help="A model's name or folder; the embedded default if left out.")
]
WaitOption = Annotated[
    float, typer.Option(help="How many seconds to wait for another writer.", min=0.0)
]
RerankOption = Annotated[
    bool, typer.Option("--rerank/--no-rerank", help="Whether the best are scored again.")
]
RerankerOption = Annotated[
    str | None,
    typer.Option(help="The name or folder of a model that scores the best again."),
]
TagOption = Annotated[
    list[str] | None, typer.Option("--tag", help="Only what has this tag; may be repeated.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
