"""Source code: functions and classes with their lines, and nothing lost between them."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from mm_rag.segment import Segment
from mm_rag_loaders import LoadOptions, load_file

PYTHON = '''import os

PRICE = 4


@cache
class Ferry:
    """A ferry."""

    # What a crossing costs.
    def cost(self):
        def inner():
            return PRICE
        return inner()


print(Ferry().cost())
'''
TYPESCRIPT = """import { boat } from "boats";
const PRICE = 4;

/** A ferry. */
export class Ferry extends Boat {
  private name: string;

  // What a crossing costs.
  async cost(passengers: number): Promise<number> {
    for (const each of list) {
      pay(each);
    }
    return PRICE * passengers;
  }
}

const total = (a: number, b: number): number => {
  return a + b;
};
run(total(1, 2));
"""
C = """#include <stdio.h>
static int count = 0;

/* Adds. */
int add(int a, int b)
{
    if (a > b) {
        return a;
    }
#ifdef DEBUG
    printf("%d", a);
#endif
    return a + b;
}

struct point {
    int x;
};
"""
GO = """package main

import "fmt"

// Cost of a crossing.
func (f *Ferry) Cost(n int) int {
\tif n > 1 {
\t\treturn n
\t}
\treturn 0
}

func main() {
\tfmt.Println("x")
}
"""
RUST = """use std::fmt;

#[derive(Debug)]
pub struct Ferry { name: String }

impl fmt::Display for Ferry {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "x")
    }
}
"""
RUBY = """module Harbour
  class Ferry
    def cost(n)
      n * 4
    end
  end
end
puts 1
"""
JAVA = """package harbour;

public class Ferry {
    private int price = 4;

    @Override
    public int cost(List<String> passengers) throws Late {
        return price * passengers.size();
    }
}
"""
SQL = """CREATE TABLE IF NOT EXISTS ferries (
    id INTEGER PRIMARY KEY,
    name TEXT
);

create or replace function cost(n int) returns int as $$
    select n * 4
$$;
"""
SHELL = """#!/bin/sh
set -e

# Sends it.
deploy() {
    rsync -a . harbour:
}

deploy
"""
SYMBOLS = {
    "a.py": (PYTHON, "Python", ["", "Ferry", "Ferry.cost", ""]),
    "a.ts": (TYPESCRIPT, "TypeScript", ["", "Ferry", "Ferry.cost", "total", ""]),
    "a.c": (C, "C", ["", "add", "point"]),
    "a.go": (GO, "Go", ["", "Ferry.Cost", "main"]),
    "a.rs": (RUST, "Rust", ["", "Ferry", "Ferry", "Ferry.fmt"]),
    "a.rb": (RUBY, "Ruby", ["Harbour", "Harbour.Ferry", "Harbour.Ferry.cost", ""]),
    "Ferry.java": (JAVA, "Java", ["", "Ferry", "Ferry.cost"]),
    "a.sql": (SQL, "SQL", ["ferries", "cost"]),
    "deploy": (SHELL, "Shell", ["", "deploy", ""]),
}


def read(folder: Path, name: str, text: str, max_words: int = 150) -> tuple[Segment, ...]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    loaded = load_file(path, LoadOptions(passage_words=max_words))
    assert (loaded.kind, loaded.state) == ("code", "loaded")
    return loaded.segments


def check_lines(text: str, segments: tuple[Segment, ...]) -> None:
    """Every line with words is in the passage that names it, in order."""
    lines = text.split("\n")
    seen: list[str] = []
    for segment in segments:
        place = str(segment.metadata["place"]).split()[1].split("-")
        first, last = int(place[0]), int(place[-1])
        named = [line.rstrip() for line in lines[first - 1 : last]]
        assert segment.text == "\n".join(named)
        seen += [line for line in named if line]
    assert seen == [line.rstrip() for line in lines if line.strip()]


@pytest.mark.parametrize("name", SYMBOLS)
def test_functions_and_classes_are_passages(tmp_path: Path, name: str) -> None:
    text, language, symbols = SYMBOLS[name]
    segments = read(tmp_path, name, text)
    assert [segment.metadata.get("symbol", "") for segment in segments] == symbols
    assert {segment.metadata["language"] for segment in segments} == {language}
    check_lines(text, segments)


def test_a_passage_is_named_after_its_symbol_or_file(tmp_path: Path) -> None:
    segments = read(tmp_path, "toll_house.py", PYTHON)
    assert [segment.title for segment in segments] == [
        "toll house",
        "Ferry",
        "Ferry.cost",
        "toll house",
    ]
    assert segments[2].text.startswith("    # What a crossing costs.\n    def cost(self):")
    assert segments[2].metadata["place"] == "lines 10-14"


def test_a_long_function_is_split(tmp_path: Path) -> None:
    body = "".join(f"    value_{n} = compute(value_{n}, {n})\n" for n in range(100))
    text = f"def long():\n{body}\n\ndef short():\n    pass\n"
    segments = read(tmp_path, "a.py", text)
    assert len(segments) > 3
    assert [s.metadata["symbol"] for s in segments] == ["long"] * (len(segments) - 1) + ["short"]
    check_lines(text, segments)


@pytest.mark.parametrize("name", ["a.py", "a.ts", "a.unknown.js"])
def test_real_code_is_kept_line_by_line(tmp_path: Path, name: str) -> None:
    text = inspect.getsource(json.decoder)
    check_lines(text, read(tmp_path, name, text, max_words=10_000))


def test_python_that_does_not_parse_is_outlined(tmp_path: Path) -> None:
    text = "import os\n\ndef cost(n):\n    print n\n    return 4\n\nclass Ferry:\n    x = 1\n"
    segments = read(tmp_path, "old.py", text)
    assert [segment.metadata.get("symbol", "") for segment in segments] == ["", "cost", "Ferry"]
    check_lines(text, segments)


def test_warnings_about_the_code_are_not_ours(tmp_path: Path) -> None:
    assert read(tmp_path, "a.py", 'x = "\\d"\nassert (x, "always true")\n')


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "-" * 200_000 + "1",
        "int " * 50_000 + "x(",
        "class A:\n" + "".join(" " * n + f"class B{n}:\n" for n in range(1, 300)),
        "a " * 100 + "(\n" + "x<" * 100_000,
        "{" * 100_000,
    ],
    ids=["brackets", "minus", "words", "nested", "generics", "braces"],
)
@pytest.mark.parametrize("name", ["a.py", "a.cpp"])
def test_hostile_code_takes_linear_time(tmp_path: Path, name: str, text: str) -> None:
    segments = read(tmp_path, name, text)
    assert sum(len(segment.text.replace("\n", "")) for segment in segments) >= len(
        text.replace(" ", "").replace("\n", "")
    )
