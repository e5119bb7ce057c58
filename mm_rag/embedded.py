"""The embedded default: a small text model behind readers, which runs anywhere.

Texts go straight into all-MiniLM-L6-v2; pictures, recordings and videos are read first. It finds
what is written or said, and does not see what a wordless photo shows.
"""

from __future__ import annotations

from pathlib import Path

from mm_rag.errors import CheckpointError
from mm_rag.modules import Chain, LoadOptions, ReadAudio, ReadImage, ReadVideo, Router, Transformer


def embedded_chain(folder: Path, options: LoadOptions) -> Chain:
    """Put readers in front of the text model in `folder`.

    Raises:
        CheckpointError: The model does not begin with a Transformer.
    """
    transformer, *rest = Chain.load(folder, options)
    if not isinstance(transformer, Transformer):
        raise CheckpointError(f"{folder} does not begin with a Transformer.")
    router = Router(
        {
            "text": [transformer],
            "image": [ReadImage(options.policy), transformer],
            "audio": [ReadAudio(options.policy), transformer],
            "video": [ReadVideo(options.policy), transformer],
        }
    )
    return Chain([router, *rest])
