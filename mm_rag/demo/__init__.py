"""The material of `mm-rag demo`: sample files of a small ferry company, and questions about them.

`write_page` shows the hits of any search, not only of the demo's.
"""

from __future__ import annotations

from mm_rag.demo.page import Answer, write_page
from mm_rag.demo.questions import QUESTIONS, Question, is_right
from mm_rag.demo.samples import make_samples

__all__ = ["QUESTIONS", "Answer", "Question", "is_right", "make_samples", "write_page"]
