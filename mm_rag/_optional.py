"""The one place where an optional package is imported."""

from __future__ import annotations

import importlib
from types import ModuleType

from mm_rag.errors import MissingExtra


def require(module: str, *, extra: str, feature: str) -> ModuleType:
    """Import an optional `module`.

    Args:
        module: Import name, such as `"pymupdf"`.
        extra: The extra of mm-rag's distribution that installs it.
        feature: What the user was doing, for the message: `"Reading PDFs"`.

    Raises:
        MissingExtra: The package is not installed, or fails to import.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{feature} needs the package '{module}', which is not installed ({error}). "
            f"Install it with: pip install 'mm-rag[{extra}]'"
        ) from error
    except ImportError as error:
        hint = "; OpenCV without libGL is opencv-python-headless" if "libGL" in str(error) else ""
        raise MissingExtra(
            f"{feature} needs the package '{module}', which is installed and cannot be loaded: "
            f"{error}{hint}."
        ) from error
