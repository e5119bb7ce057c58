"""CodeLoader: source code as passages of functions and classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar

from mm_rag.errors import UnreadableMedia
from mm_rag.segment import Segment
from mm_rag_loaders.code_outline import LANGUAGES, blocks_of
from mm_rag_loaders.line_passages import line_passages
from mm_rag_loaders.loader import Loader, SourceFile
from mm_rag_loaders.text_loader import lines_of, open_plain_text

# "#!/usr/bin/env python3"
_INTERPRETER = re.compile(rb"#!\s*\S*?/(?:env\s+(?:-\S+\s+)*)?(\w+?)[\d.]*\s")
_OBJECTIVE_C = re.compile(rb"^\s*[@#](import|interface|include)", re.MULTILINE)
_INTERPRETERS = {
    b"python": "Python",
    b"sh": "Shell",
    b"bash": "Shell",
    b"zsh": "Shell",
    b"perl": "Perl",
    b"ruby": "Ruby",
    b"node": "JavaScript",
    b"php": "PHP",
    b"lua": "Lua",
    b"Rscript": "R",
}


class CodeLoader(Loader):
    """Reads source code. A passage is a function, a class, or the lines between them."""

    becomes: ClassVar[str] = "each function and class, and the code between them, with its lines"

    def segments(self, file: SourceFile) -> Iterator[Segment]:
        """Yield the passages of the program. A long function has several.

        Raises:
            UnreadableMedia: It is not text, or contains no words.
        """
        language = _language(file)
        part = 0
        with open_plain_text(file).stream as stream:
            for block in blocks_of(lines_of(stream), language):
                for passage in line_passages(block.lines, max_words=self.options.passage_words):
                    yield file.text_segment(
                        passage.text,
                        title=block.symbol,
                        part=part,
                        place=passage.place,
                        symbol=block.symbol,
                        language=language,
                    )
                    part += 1
        if part == 0:
            raise UnreadableMedia(f"{file.path.name} has no words in it.")


def _language(file: SourceFile) -> str:
    suffix = file.path.suffix.lower()
    with file.opened.reader() as reader:
        head = reader.read(4096)
    if suffix == ".m":
        return (
            "Objective-C"
            if re.search(rb"^\s*[@#](import|interface|include)", head, re.M)
            else "MATLAB"
        )
    interpreter = _INTERPRETER.match(head)
    return LANGUAGES.get(suffix) or (_INTERPRETERS.get(interpreter[1], "") if interpreter else "")
