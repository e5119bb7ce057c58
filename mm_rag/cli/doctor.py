"""`mm-rag doctor`: which built-in models can be used here, and how to get the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from mm_rag._printing import one_line
from mm_rag.cli import show
from mm_rag.cli.diagnosis import (
    Cache,
    Diagnosis,
    LibraryState,
    ModelState,
    PackageState,
    Program,
    diagnose,
)
from mm_rag.cli.options import JsonOption
from mm_rag.cli.running import errors, print_json
from mm_rag.errors import CheckpointError


def doctor(
    fetch: Annotated[
        bool,
        typer.Option("--fetch", help="Download the originals of missing models from the hub."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the built-in models and what runs them; exit 1 if one of them cannot be used."""
    with errors():
        found = diagnose()
        missing = [model for model in found.models if model.needed and not model.is_usable]
        if fetch and missing:
            _fetch(missing)
            found = diagnose()
        if as_json:
            print_json(_as_dict(found, _device()))
        else:
            for line in _lines(found):
                show.console.print(line, highlight=False, soft_wrap=True)
            device = _device()  # imports torch, which takes seconds, after all else is printed
            show.console.print(f"  torch {found.torch}, device: {device}", highlight=False)
    if not found.ok:
        raise typer.Exit(1)


def _fetch(missing: Sequence[ModelState]) -> None:
    """Download what the library can load in place of missing packages; say what failed."""
    from mm_rag.checkpoints.locate import find_model

    for model in missing:
        if model.hub is None or model.state == "damaged":
            show.error(f"{model.name}: the library loads no original in place of its package.")
            continue
        try:
            folder = find_model(model.hub.name, files=model.hub.files)
        except CheckpointError as error:
            show.error(f"{model.name}: {error}")
        else:
            show.error_console.print(f"{model.name}: fetched to {folder}", highlight=False)


def _device() -> str:
    """The device that models run on, or why torch cannot be imported."""
    try:
        from mm_rag.device import best_device

        return str(best_device())
    except (ImportError, OSError, RuntimeError) as error:
        return one_line(f"none, torch cannot be used ({type(error).__name__}: {error})")


def _as_dict(found: Diagnosis, device: str) -> dict[str, object]:
    models = [asdict(model) | {"state": model.state} for model in found.models]
    return {"ok": found.ok, **asdict(found), "models": models, "device": device}


def _lines(found: Diagnosis) -> Iterator[str]:
    yield "[bold]Built-in models[/bold]"
    for model in found.models:
        yield from _model(model)
    yield "\n[bold]Libraries that run them[/bold]"
    yield from map(_library, found.libraries)
    if found.install:
        yield "\n[bold]Install what is missing or damaged[/bold]"
        yield from (f"  {escape(command)}" for command in found.install)
    else:
        yield "  [green]The built-in default is complete.[/green]"
    yield "\n[bold]Other programs[/bold]"
    yield from map(_program, found.programs)
    yield "\n[bold]Folders[/bold]"
    yield from map(_cache, found.caches)
    yield f"\n[bold]Python[/bold]\n  Python {found.python}"


def _model(model: ModelState) -> Iterator[str]:
    yield _row(model.state, model.name, model.gives, needed=model.needed)
    packages = ", ".join(map(_package, model.packages))
    if model.hub and model.state == "from the hub":
        packages = f"{packages}; {model.hub.name} is used instead"
    yield f"  {'':13} [dim]{escape(f'{packages}; {model.licence}; {model.origin}')}[/dim]"


def _package(package: PackageState) -> str:
    if package.installed is None:
        return f"{package.name} {package.version} is not installed"
    if package.state == "other version":
        return f"{package.name} {package.installed} has other files than {package.version}"
    sha256 = "wrong" if package.state == "damaged" else "right"
    return f"{package.name} {package.installed}, sha256 {sha256}"


def _library(library: LibraryState) -> str:
    name = f"{library.name} {library.installed or ''}".strip()
    tested = "" if library.state == "ok" else f" (tested: {library.versions})"
    return _row(library.state, name, library.gives + tested)


def _program(program: Program) -> str:
    what = program.gives
    if program.languages is not None and program.found:
        what = f"{what}; has data for {', '.join(program.languages) or 'none of them'}"
    return _row("ok" if program.found else "not found", program.name, what, needed=False)


def _cache(cache: Cache) -> str:
    size = f"{cache.size / 1e6:,.0f} MB" if cache.size else "empty"
    return f"  {size:13} {escape(one_line(cache.path))}  [dim]{escape(cache.what)}[/dim]"


def _row(state: str, name: str, what: str, *, needed: bool = True) -> str:
    colour = "green" if state in ("ok", "from the hub") else "red" if needed else "yellow"
    return f"  [{colour}]{state:13}[/{colour}] {escape(name):26} {escape(what)}"
