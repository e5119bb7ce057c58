"""CLIP in the layout from before sentence-transformers 5.4: `0_CLIPModel`."""

from __future__ import annotations

from pathlib import Path

from mm_rag.modules.module import LoadOptions
from mm_rag.modules.transformer import Transformer


class LegacyCLIP:
    """Loads such a folder as the plain transformers checkpoint that it is."""

    def load(self, folder: Path, options: LoadOptions) -> Transformer:
        """Load it; what is saved of it is a Transformer in today's layout.

        Raises:
            CheckpointError: It has no weights, or no architecture that transformers knows.
        """
        return Transformer.from_pretrained(folder, options)
