"""A collection: what is lost, what is doubled, who is ranked fairly, how long a search takes.

    python -m benchmarks.collection                            what needs no corpus
    python -m benchmarks.collection --corpus CORPUS            retrieval over its text_ir sets, too
    python -m benchmarks.collection --corpus CORPUS --docs     and write them to docs/benchmarks.md
    python -m benchmarks.collection --quick                    whether it works at all
    python -m benchmarks.collection --only scale,gap           some parts
    python -m benchmarks.collection --only model --operations 20000 --seed 7

It ends with exit code 1 when anything was lost, doubled or not what it should be.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PARTS = ("model", "killed", "writers", "scale", "gap", "storage", "ranking")


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the tables.

    Raises:
        SystemExit: Something was lost, doubled, or not what it should be.
    """
    from benchmarks.collections import table  # see `_measure`

    given = _parsed(arguments)
    if given.docs and (missing := table.PLACE.is_missing()):
        sys.exit(missing)
    made, wrong = _measure(given.only, given)
    print(made)
    if wrong:
        sys.exit("\n".join(wrong))
    if given.docs:
        table.PLACE.write(made)


def _measure(names: Sequence[str], given: argparse.Namespace) -> tuple[str, list[str]]:
    """The tables of some parts, and what is wrong."""
    # Processes that are forked off import this module before anything else: it has to be light.
    from benchmarks.collections.parts import QUICK, USUAL, Order, measured

    tables: list[str] = []
    wrong: list[str] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr)
        with tempfile.TemporaryDirectory(prefix="mm-rag-bench-") as folder:
            order = Order(
                plan=QUICK if given.quick else USUAL,
                folder=Path(folder),
                operations=given.operations,
                seed=given.seed,
                corpus=given.corpus,
            )
            told = measured(name, order)
        print(told.table, file=sys.stderr)
        tables.append(told.table)
        wrong += [f"{name}: {told.wrong}"] if told.wrong else []
    return "\n".join(tables), wrong


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="with text_ir/ in it: sets in BEIR's layout")
    parser.add_argument("--only", type=_names, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="little of everything")
    parser.add_argument("--operations", type=int, help="of the model test; 20,000 if left out")
    parser.add_argument("--seed", type=int, default=6, help="of the model test and of the kills")
    parser.add_argument("--docs", action="store_true", help="write them to docs/benchmarks.md")
    given = parser.parse_args(arguments)
    if given.docs and (given.quick or given.only or given.corpus is None):
        parser.error("--docs writes all tables: with --corpus, without --quick and --only")
    given.only = given.only or [name for name in PARTS if name != "ranking" or given.corpus]
    if "ranking" in given.only and given.corpus is None:
        parser.error("--only ranking needs --corpus")
    return given


def _names(given: str) -> list[str]:
    names = given.split(",")
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(sorted(unknown))}")
    return names


if __name__ == "__main__":
    main()
