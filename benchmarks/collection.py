"""Measure a collection: durability, concurrent writers, latency, modality gap, disk space.

    python -m benchmarks.collection                            all parts that need no corpus
    python -m benchmarks.collection --corpus CORPUS            also retrieval over its text_ir sets
    python -m benchmarks.collection --corpus CORPUS --docs     and write them to docs/benchmarks.md
    python -m benchmarks.collection --quick                    a quick check that it runs
    python -m benchmarks.collection --only scale,gap           only some parts
    python -m benchmarks.collection --only model --operations 20000 --seed 7

Exits with 1 if a segment was lost, duplicated or wrong.
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
        SystemExit: A segment was lost, duplicated or wrong.
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
    """Return the tables of some parts, and a message for each wrong result."""
    # Imported late: forked processes import this module first, so it must be cheap.
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
            result = measured(name, order)
        print(result.table, file=sys.stderr)
        tables.append(result.table)
        wrong += [f"{name}: {result.wrong}"] if result.wrong else []
    return "\n".join(tables), wrong


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, help="folder with text_ir/, sets in BEIR's layout")
    parser.add_argument("--only", type=_names, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument(
        "--operations", type=int, help="number in the model test; 20,000 by default"
    )
    parser.add_argument(
        "--seed", type=int, default=6, help="random seed of the model test and of the kills"
    )
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
