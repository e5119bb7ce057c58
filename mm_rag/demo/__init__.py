"""What `mm-rag demo` uses: sample files, questions about them, and a page that shows the answers.

`write_page` shows the hits of any search, not only of the demo's.
"""

from __future__ import annotations

from mm_rag.demo.dataset import QUESTIONS, Question, is_right, make_samples
from mm_rag.demo.page import Answer, write_page

__all__ = ["QUESTIONS", "Answer", "Question", "is_right", "make_samples", "write_page"]
