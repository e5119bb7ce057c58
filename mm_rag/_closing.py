"""Base class of objects that can be closed, by hand or by a `with` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """An object that holds files or processes until it is closed."""

    @abstractmethod
    def close(self) -> None:
        """Release what is held; closing twice has no effect."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
