"""Router: each modality, and each task, takes its own way."""

from __future__ import annotations

import ast
import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from torch import nn

from mm_rag.content import MODALITIES, Content, Mixed, Part, Text, modality_name, parts_of
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules import registry
from mm_rag.modules.module import (
    Features,
    InputModule,
    LoadOptions,
    Module,
    inside,
    read_json,
    write_json,
)
from mm_rag.modules.readers import Reader

# A task and a modality; None stands for any.
Condition: TypeAlias = tuple[str | None, str | None]


class Router(InputModule):
    """Send inputs through modules of their own, by modality, by task, or by both.

    A route is taken when the first of these names it: `mappings` of (task, modality), of (task,
    None), of (None, modality), of (None, None); the task's name; the modality's name; the default
    route. These rules, and the format on disk, are those of sentence-transformers' Router.

    A route may begin with a `Reader`: its medium is turned into words first. Several contents
    together, all of which are text or read, become one text, part by part, and take the way of
    text.

    Behind another module, a Router sends on what that made, by the task and the modality that it
    was made of.

    Args:
        routes: By name, the modules in order; routes may share modules. Where the Router comes
            first, the first module of each that is not a reader takes Content. The name of a
            modality (`"image+text"` for several together) or of a task (`"query"`, `"document"`)
            needs no mapping.
        mappings: Which route inputs take, by task and modality.
        default_route: Taken where nothing else fits; None for the first one.
    """

    type_name = "sentence_transformers.base.modules.router.Router"
    config_file = "router_config.json"

    def __init__(
        self,
        routes: Mapping[str, Sequence[Module]],
        *,
        mappings: Mapping[Condition, str] | None = None,
        default_route: str | None = None,
    ) -> None:
        super().__init__()
        self.routes = {name: tuple(modules) for name, modules in routes.items()}
        self.mappings = {(task, _sorted(kind)): to for (task, kind), to in (mappings or {}).items()}
        self.default_route = default_route or next(iter(self.routes), None)
        self.task: str | None = None
        self.readers: dict[str, Reader] = {}
        self.inputs: dict[str, InputModule] = {}
        for name, modules in self.routes.items():
            self._enrol(name, *_split_reader(modules))
        if self.inputs and (without := sorted(set(self.routes) - set(self.inputs))):
            raise CheckpointError(
                f"The route {without[0]!r} has no module that takes content, which others have."
            )
        if missing := {self.default_route, *self.mappings.values()} - set(self.routes):
            raise CheckpointError(f"The Router has no route {', '.join(map(repr, missing))}.")
        # nn.Sequential registers the parameters; a module that routes share is the same object.
        self.sub_modules = nn.ModuleDict({name: nn.Sequential(*m) for name, m in routes.items()})

    def _enrol(self, name: str, reader: Reader | None, rest: Sequence[Module]) -> None:
        if rest and isinstance(rest[0], InputModule) and rest[0].takes_content:
            self.inputs[name] = rest[0]
        if reader:
            self.readers[name] = reader

    @property
    def takes_content(self) -> bool:
        """Whether its routes begin with modules that do; else it stands behind another module."""
        return bool(self.inputs)

    def at(self, task: str | None) -> Self:
        """The same modules, on the routes of a task.

        Raises:
            UnsupportedModality: There are routes by task, and none is this one's.
        """
        router = copy.copy(self)
        router.task = task
        router.inputs = {name: module.at(task) for name, module in self.inputs.items()}
        if not router.modalities:
            raise UnsupportedModality(
                f"This model has no route for the task {task!r}; it has {', '.join(self.routes)}."
            )
        return router

    @property
    def modalities(self) -> tuple[str, ...]:
        """What its routes take."""
        named = {*self.routes, *(kind or "" for _, kind in self.mappings)}
        taken = {kind for module in self.inputs.values() for kind in module.modalities}
        kinds = taken | (named & _KINDS)
        order = [*MODALITIES, *sorted(kinds - set(MODALITIES))]
        return tuple(kind for kind in order if kind in kinds and self._route(kind))

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the route for text, or else of the first route that has one."""
        first = self.inputs.get(self._route("text") or "")
        inputs = [*([first] if first else []), *self.inputs.values()]
        return next((one.tokenizer for one in inputs if one.tokenizer is not None), None)

    @property
    def max_length(self) -> int | None:
        """Tokens that texts are cut at; the most that a route takes where they differ."""
        limits = [limit for one in self.inputs.values() if (limit := one.max_length) is not None]
        return max(limits, default=None)

    @max_length.setter
    def max_length(self, limit: int) -> None:
        cutting = {id(one): one for one in self.inputs.values() if one.max_length is not None}
        if not cutting:
            raise InputError("No route of this model cuts texts: there is no max_seq_length.")
        for module in cutting.values():
            module.max_length = limit

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Of the route for text."""
        route = self._route("text")
        return self.inputs[route].vocabulary if route else {}

    def supports(self, modality: str) -> bool:
        """A combination takes a route of its own, or goes as words when all parts become words."""
        return self._route(modality) is not None or self._all_words(modality)

    def reads(self, modality: str) -> bool:
        """Whether the route begins with a reader; a combination, whether all its media are read."""
        return self._reader(modality) is not None or (
            modality != "text" and self._all_words(modality)
        )

    def prepare(self, content: Content) -> Content:
        """Read what is to be read; the words then travel with the content."""
        modality = modality_name(content)
        if isinstance(content, Mixed) and self._joins(modality):
            return Text("\n".join(filter(None, map(self._words, content.parts))))
        [*parts] = parts_of(content)
        if len(parts) > 1 or isinstance(content, Text) or self._reader(modality) is None:
            return content
        return replace(parts[0], text=self._words(parts[0]))

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """As the route's own module does; what is read is cut as words."""
        module, content = self._enter(content)
        return module.split(content, overlap=overlap)

    def batch_key(self, content: Content) -> Hashable:
        """Inputs of routes that begin with the same module, after reading, share batches."""
        module, content = self._enter(content)
        key = tuple(id(step) for step in self._steps(self._way(content)))
        return key, module.batch_key(content)

    def lengths(self, contents: Sequence[Content]) -> list[int]:
        """As the routes' own modules count."""
        lengths = [0] * len(contents)
        entered = [self._enter(content) for content in contents]
        for module in {id(module): module for module, _ in entered}.values():
            mine = [i for i, (taker, _) in enumerate(entered) if taker is module]
            for i, length in zip(mine, module.lengths([entered[i][1] for i in mine]), strict=True):
                lengths[i] = length
        return lengths

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """As the route's own module does, after reading."""
        route = self._way(contents[0])
        entered = [self._enter(content)[1] for content in contents]
        features = self.inputs[route].preprocess(entered, prompt=prompt)
        features.route = (route, *features.route)  # a Router in a route has chosen one already
        return features

    def forward(self, features: Features) -> Features:
        """Run the modules of the route."""
        return self.run(features, {})

    def run(self, features: Features, arguments: Mapping[str, Any]) -> Features:
        """Run the modules of the route, each with those of the arguments that it declares."""
        if not self.inputs:
            for module in self.routes[self._later_route(features)]:
                features = module.run(features, arguments)
            return features
        ways = features.route
        features.route = ways[1:]
        for module in self._steps(ways[0]):
            features = module.run(features, arguments)
        features.route = ways
        return features

    def _later_route(self, features: Features) -> str:
        """The route of what another module made."""
        name = self._named(features.task, features.kind)
        if name is None:
            raise UnsupportedModality(
                f"This model has no route for the task {features.task!r}; it has "
                f"{', '.join(self.routes)}."
            )
        return name

    def _named(self, task: str | None, modality: str) -> str | None:
        """The route of a task and a modality, whether or not it takes that modality."""
        conditions = [(task, modality), (task, None), (None, modality), (None, None)]
        found = next((self.mappings[c] for c in conditions if c in self.mappings), None)
        named = [name for name in (task, modality) if name in self.routes]
        # A task that nothing here knows falls back on no default: it may be a mistake in its name.
        default = self.default_route if task in (None, *_TASKS) else None
        return found or next(iter(named), None) or default

    def _route(self, modality: str) -> str | None:
        """The route that an input of this task and modality takes, where there is one."""
        name = self._named(self.task, modality)
        takes = name and (name in self.readers or self.inputs[name].supports(modality))
        return name if takes else None

    def _way(self, content: Content) -> str:
        route = self._route(modality_name(content))
        if route is None:
            raise UnsupportedModality(
                f"This model has no route for {modality_name(content)}; "
                f"it takes {', '.join(self.modalities)}."
            )
        return route

    def _steps(self, route: str) -> tuple[Module, ...]:
        return _split_reader(self.routes[route])[1]

    def _reader(self, modality: str) -> Reader | None:
        return self.readers.get(self._route(modality) or "")

    def _enter(self, content: Content) -> tuple[InputModule, Content]:
        """The module that takes the content, and what that module is given."""
        route = self._way(content)
        read = route in self.readers
        return self.inputs[route], Text(self._words(parts_of(content)[0])) if read else content

    def _words(self, part: Part) -> str:
        reader = self._reader(part.modality)
        if isinstance(part, Text) or reader is None:
            return part.text or ""
        return reader.read(part).text

    def _joins(self, modality: str) -> bool:
        """Whether contents together become one text; a route for the combination goes before."""
        own_route = "+" in modality and self._route(modality) is not None
        return self._all_words(modality) and not own_route

    def _all_words(self, modality: str) -> bool:
        media = set(modality.split("+")) - {"text"}
        return self._route("text") is not None and all(map(self._reader, media))

    def _distinct(self) -> dict[str, Module]:
        """Every module once, by the name of its folder; the names are sentence-transformers'."""
        named: dict[int, tuple[str, Module]] = {}
        for route, modules in self.routes.items():
            for position, module in enumerate(modules):
                name = f"{route}_{position}_{type(module).__name__}"
                named.setdefault(id(module), (name, module))
        return dict(named.values())

    def config(self) -> dict[str, Any]:
        """In the format of sentence-transformers 6."""
        names = {id(module): name for name, module in self._distinct().items()}
        return {
            "types": {name: module.type_name for name, module in self._distinct().items()},
            "structure": {
                route: [names[id(module)] for module in modules]
                for route, modules in self.routes.items()
            },
            "parameters": {
                "default_route": self.default_route,
                "allow_empty_key": True,
                "route_mappings": {
                    str((task, _tuple(kind))): to for (task, kind), to in self.mappings.items()
                },
            },
        }

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load every module once, and connect the routes."""
        named = folder / cls.config_file
        config = read_json(named if named.is_file() else folder / "config.json")
        try:
            types, structure = config["types"], config["structure"]
            parameters: dict[str, Any] = config.get("parameters", {})
            modules = {
                name: registry.module_class(kind, folder).load(inside(folder, name), options)
                for name, kind in types.items()
            }
            routes = {
                route: [modules[name] for name in names] for route, names in structure.items()
            }
            mappings = _read_mappings(parameters.get("route_mappings") or {})
        except (KeyError, AttributeError, TypeError, ValueError, SyntaxError) as error:
            raise CheckpointError(f"The Router in {folder} is not understood: {error}") from error
        return cls(routes, mappings=mappings, default_route=parameters.get("default_route"))

    def save(self, folder: Path) -> None:
        """Write every module once, in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / self.config_file, self.config())
        for name, module in self._distinct().items():
            module.save(folder / name)

    @property
    def takes(self) -> int | None:
        """The dimension that its routes take; None where they come first, or differ."""
        firsts = [next((m.takes for m in modules if m.takes), None) for modules in self._after()]
        return firsts[0] if firsts and len(set(firsts)) == 1 else None

    def _after(self) -> list[tuple[Module, ...]]:
        return [] if self.inputs else list(self.routes.values())

    @property
    def gives(self) -> int | None:
        """The dimension of the default route, which others may not have."""
        return self._ends().get(self.default_route or "")

    @property
    def dimensions(self) -> frozenset[int]:
        """Those of all routes."""
        return frozenset(end for end in self._ends().values() if end is not None)

    def _ends(self) -> dict[str, int | None]:
        return {
            route: next((module.gives for module in reversed(modules) if module.gives), None)
            for route, modules in self.routes.items()
        }

    @property
    def label(self) -> str:
        """One line per route."""
        lines = [
            f"  {route}: {' -> '.join(module.label for module in modules)}"
            for route, modules in self.routes.items()
        ]
        return "\n".join(["Router", *lines])


_KINDS = frozenset(MODALITIES)
_TASKS = ("query", "document")


def _split_reader(modules: Sequence[Module]) -> tuple[Reader | None, tuple[Module, ...]]:
    if not modules or not isinstance(modules[0], Reader):
        return None, tuple(modules)
    return modules[0], tuple(modules[1:])


def _sorted(modality: str | None) -> str | None:
    return "+".join(sorted(modality.split("+"))) if modality else None


def _tuple(modality: str | None) -> str | tuple[str, ...] | None:
    """As sentence-transformers writes several modalities together."""
    return tuple(modality.split("+")) if modality and "+" in modality else modality


def _read_mappings(saved: Mapping[str, str]) -> dict[Condition, str]:
    """Conditions are written as Python's tuples: `"(None, ('image', 'text'))"`."""
    mappings: dict[Condition, str] = {}
    for written, route in saved.items():
        task, kind = ast.literal_eval(written)
        mappings[task, "+".join(sorted(kind)) if isinstance(kind, tuple) else kind] = route
    return mappings
