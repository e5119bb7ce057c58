"""Transcribers that do to their process what damaged files do to native libraries."""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mm_rag.extraction.speech import Transcript


@dataclass(frozen=True)
class Odd(ABC):
    """Transcribes nothing; from its `calls`-th call on it does something odd."""

    name = "odd"
    calls: int = 1

    def transcribe(self, samples: npt.NDArray[np.float32]) -> Transcript:
        count = int(os.environ.get("ODD_CALLS", "0")) + 1
        os.environ["ODD_CALLS"] = str(count)
        if count >= self.calls:
            self.act()
        return Transcript()

    @abstractmethod
    def act(self) -> None: ...


class Crashes(Odd):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class Hangs(Odd):
    def act(self) -> None:
        time.sleep(600)


class Hungers(Odd):
    def act(self) -> None:
        np.ones(40 * 1024**3 // 8)


class Errs(Odd):
    def act(self) -> None:
        raise KeyError("no such word")


class Babbles(Odd):
    def act(self) -> None:
        os.write(1, b"this is no message\n")
        os.write(2, b"nor is this\n")
        logging.getLogger("mm_rag.odd").warning("Something was %s.", "odd")


class IsSlow(Odd):
    def act(self) -> None:
        time.sleep(0.4)


class Litters(Odd):
    def act(self) -> None:
        with tempfile.NamedTemporaryFile(delete=False) as left:
            left.write(b"litter")
        os.kill(os.getpid(), signal.SIGKILL)


class ArrivesBroken(Crashes):
    def __reduce__(self) -> Any:
        return __import__, ("no such place",)
