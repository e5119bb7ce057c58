"""Whether loaders find what small files hold: `python -m benchmarks.loaders.cases FOLDER`.

The folder has files and EXPECT.json: for each file's name, texts that must be in what is taken from
it. Prints the files in which something is missing, and the share of the files that are right.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from mm_rag_loaders import AssetStore, LoadedFile, LoadOptions, load_file


def missing(loaded: LoadedFile, expected: list[str]) -> list[str]:
    """The expected texts that no segment has, ignoring case and white space."""
    text = _plain(" ".join(segment.text for segment in loaded.segments))
    return [words for words in expected if _plain(words) not in text]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def main() -> None:
    """Read the files and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    cases: dict[str, list[str]] = json.loads((folder / "EXPECT.json").read_text("utf-8"))
    right = 0
    with tempfile.TemporaryDirectory() as assets:
        options = LoadOptions(assets=AssetStore(Path(assets)))
        for name, expected in cases.items():
            loaded = load_file(folder / name, options)
            lost = missing(loaded, expected)
            right += not lost
            if lost:
                notes = "; ".join(str(note) for note in loaded.notes)
                print(f"{name}: {loaded.state} {loaded.reason}{notes}\n  without {lost}")
    print(f"{right} of {len(cases)} files are right")


if __name__ == "__main__":
    main()
