"""How many tokens a medium becomes, told from its header, so that batches fit into memory.

A page of a document may become 100 times the tokens of a small picture, and the vision tower sees
each of them several times, as patches. The counts are the processor's own where it has a rule for
them. Elsewhere, and where a size is not known without fetching or decoding the medium (an address,
say), they are estimates. They decide which inputs share a batch, and no number of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL.Image import Image as PILImage
from transformers import ProcessorMixin

from mm_rag.content import Audio, Image, Part, Text, Url, Video
from mm_rag.errors import MMRagError
from mm_rag.media.image import image_info
from mm_rag.preprocessing.media_inputs import Opener

# What processors raise on sizes that they cannot use, and older ones that lack a rule.
_NO_RULE = (AttributeError, TypeError, ValueError, LookupError, ArithmeticError, RuntimeError)

_UNKNOWN = {"image": 1024, "audio": 3000, "video": 8192}
_PATCH = 14  # pixels of a patch's side, where nothing says it; the smallest that is usual
_STRIDE = 320  # samples that become one vector, where nothing says it: wav2vec 2.0's


class MediaTokens:
    """Count what one processor makes of media.

    Args:
        processor: Of one or several modalities.
        opener: Opens media for it.
        settings: What it is called with, by modality.
    """

    def __init__(
        self, processor: Any, opener: Opener, settings: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._processor = processor
        self._settings = settings
        self._opener = opener

    def count(self, part: Part) -> int:
        """Tokens or patches of a medium, whichever is more; 0 for text."""
        try:
            match part:
                case Text():
                    return 0
                case Image():
                    return self._picture(part)
                case Audio():
                    return self._recording(part)
                case Video():
                    return self._video(part)
        except MMRagError:  # opening it says what is wrong with it
            return _UNKNOWN[part.modality]

    def _picture(self, image: Image) -> int:
        size = self._size(image)
        if size is None:
            return _UNKNOWN["image"]
        return self._of_picture(*size)

    def _of_picture(self, height: int, width: int) -> int:
        told = self._told(image_sizes=[(height, width)])
        counts = [told.get("num_image_tokens"), told.get("num_image_patches")]
        if found := [count[0] for count in counts if count]:
            return max(1, *found)
        resized = _fixed(getattr(self._processor, "image_processor", self._processor))
        height, width = resized or (height, width)
        return max(1, (height // _PATCH) * (width // _PATCH))

    def _size(self, image: Image) -> tuple[int, int] | None:
        match image.source:
            case np.ndarray() as pixels:
                return pixels.shape[0], pixels.shape[1]
            case PILImage() as picture:
                return picture.height, picture.width
            case Url():
                return None
            case source:
                outline = image_info(source, self._opener.policy)
                return outline.height, outline.width

    def _video(self, video: Video) -> int:
        seen = self._opener.seen_frames(video)
        if seen is None:
            return _UNKNOWN["video"]
        frames, height, width = seen
        told = self._told(video_sizes=[(frames, height, width)]).get("num_video_tokens")
        if told:
            merged = getattr(self._processor.video_processor, "merge_size", 1)
            return max(1, told[0] * merged**2)
        return max(1, frames * self._of_picture(height, width))

    def _recording(self, audio: Audio) -> int:
        seconds = self._opener.heard_seconds(audio)
        if seconds is None:
            return _UNKNOWN["audio"]
        hearing = getattr(self._processor, "feature_extractor", self._processor)
        samples = round(seconds * self._opener.sampling_rate)
        # CLAP's brings every recording to one length, Whisper's where it is told to.
        told = self._settings.get("audio", {}).get("padding") == "max_length"
        whole = getattr(hearing, "nb_max_samples", 0) or told * getattr(hearing, "n_samples", 0)
        samples = whole or samples
        return max(1, samples // (getattr(hearing, "hop_length", None) or _STRIDE))

    def _told(self, **sizes: Any) -> dict[str, Any]:
        """What a processor of several modalities says about the tokens of some sizes."""
        rule = getattr(self._processor, "_get_num_multimodal_tokens", None)
        if rule is None or not isinstance(self._processor, ProcessorMixin):
            return {}
        try:
            own = {
                "images_kwargs": dict(self._settings.get("image", {})),
                "videos_kwargs": dict(self._settings.get("video", {})),
            }
            return dict(vars(rule(**sizes, **own)))
        except _NO_RULE:
            return {}


def _fixed(part: Any) -> tuple[int, int] | None:
    """The height and width that every picture is brought to; None where they depend on it."""
    cropped = getattr(part, "do_center_crop", False) and getattr(part, "crop_size", None)
    size: Any = cropped or getattr(part, "size", None) or {}
    try:
        height, width = size["height"], size["width"]
    except (KeyError, TypeError):
        return None
    return (height, width) if height and width else None
