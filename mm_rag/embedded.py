"""The embedded default: a small text model behind readers, which runs anywhere.

all-MiniLM-L6-v2 encodes texts directly; pictures, recordings and videos are read first. It finds
written and spoken words, but not what a photo without words shows.
"""

from __future__ import annotations

from mm_rag.checkpoints.locate import find_default_model
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.errors import CheckpointError
from mm_rag.modules import Chain, ReadAudio, ReadImage, ReadVideo, Router, Transformer


def embedded_chain(options: PretrainedOptions) -> Chain:
    """Load the default text model, and put readers in front of it.

    Raises:
        MissingExtra: The model is not on this machine, and the hub was not reached.
        CheckpointError: Its files are not the published ones.
    """
    folder = find_default_model(options)
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
