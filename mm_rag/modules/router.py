"""Router: inputs take different modules by modality and by task."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, TypeAlias

from torch import nn

from mm_rag.checkpoints.config_files import inside, read_json, write_json
from mm_rag.checkpoints.options import PretrainedOptions
from mm_rag.content import MODALITIES, Chat, Content, Mixed, Part, Text, modality_name, parts_of
from mm_rag.errors import CheckpointError, InputError, UnsupportedModality
from mm_rag.modules import registry
from mm_rag.modules.module import InputModule, Module, Routed
from mm_rag.modules.readers import Reader
from mm_rag.preprocessing.features import Features

# A task and a modality; None matches any.
Condition: TypeAlias = tuple[str | None, str | None]

_KINDS = frozenset(MODALITIES)
_TASKS = ("query", "document")


class Router(InputModule):
    """Send inputs through modules of their own, by modality, by task, or by both.

    The route of an input is found in this order: `mappings` of (task, modality), of (task, None),
    of (None, modality), of (None, None); a route named like the task; a route named like the
    modality; the default route. These rules, and the format on disk, are those of
    sentence-transformers' Router.

    A route may begin with a `Reader`, which turns its medium into words. An input of several parts
    that are all texts, or read as text, becomes one text, part by part, and takes the route of
    text.

    Behind another module, a Router chooses by the task of the features and the modality they were
    made from.

    Args:
        routes: The modules of each route, in order; routes may share modules. If the Router is the
            first module, each route begins with a module that takes Content, after the Reader if it
            has one. A route named like a modality (`"image+text"` for several together) or like a
            task (`"query"`, `"document"`) needs no mapping.
        mappings: The route for a task and a modality.
        default_route: The route if nothing else matches; None for the first one.
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
        self.readers: dict[str, Reader] = {}
        self.inputs: dict[str, InputModule] = {}
        for name, modules in self.routes.items():
            reader, rest = _split_reader(modules)
            if reader:
                self.readers[name] = reader
            if rest and isinstance(rest[0], InputModule) and rest[0].takes_content:
                self.inputs[name] = rest[0]
        if self.inputs and (without := sorted(set(self.routes) - set(self.inputs))):
            raise CheckpointError(
                f"The route {without[0]!r} has no module that takes content, which others have."
            )
        if missing := {self.default_route, *self.mappings.values()} - set(self.routes):
            raise CheckpointError(f"The Router has no route {', '.join(map(repr, missing))}.")
        # nn.Sequential registers the parameters; a module that routes share is the same object.
        self.sub_modules = nn.ModuleDict({name: nn.Sequential(*m) for name, m in routes.items()})
        self._modalities = self._modalities_for(None)

    def route(self, content: Content, task: str | None) -> Routed:
        """Find the way of one input, and read it if it is encoded as text.

        Raises:
            UnsupportedModality: There is no route for the modality, or for the task.
        """
        if isinstance(content, Mixed) and self._is_joined(modality_name(content), task):
            content = Text("\n".join(filter(None, (self._words(p, task) for p in content.parts))))
        modality = modality_name(content)
        name = self._route_of(modality, task)
        if name is None:
            raise UnsupportedModality(self._no_route(modality, task))
        if name in self.readers:
            content = Text(self._words(parts_of(content)[0], task))
        first = self.inputs[name].route(content, task)  # which may be a Router, too
        return replace(first, steps=(*first.steps, *_split_reader(self.routes[name])[1][1:]))

    def _no_route(self, modality: str, task: str | None) -> str:
        if not (kinds := self._modalities_for(task)):
            return (
                f"This model has no route for the task {task!r}; it has {', '.join(self.routes)}."
            )
        return f"This model has no route for {modality}; it takes {', '.join(kinds)}."

    def _route_of(self, modality: str, task: str | None = None) -> str | None:
        """The name of the route whose modules take an input; None if there is none."""
        name = self._named(modality, task)
        if name in self.readers:
            return name
        return name if name in self.inputs and self.inputs[name].supports(modality) else None

    def _named(self, modality: str, task: str | None) -> str | None:
        """The route for a modality and a task, whether or not its modules take that modality."""
        conditions = [(task, modality), (task, None), (None, modality), (None, None)]
        found = next((self.mappings[c] for c in conditions if c in self.mappings), None)
        named = [name for name in (task, modality) if name in self.routes]
        # An unknown task, which may be misspelt, does not fall back on the default route.
        default = self.default_route if task in (None, *_TASKS) else None
        return found or next(iter(named), None) or default

    def _reader(self, modality: str, task: str | None = None) -> Reader | None:
        return self.readers.get(self._route_of(modality, task) or "")

    def _words(self, part: Part, task: str | None = None) -> str:
        """The words of a part: its text, the words read earlier, or what its reader reads now."""
        reader = self._reader(part.modality, task)
        if isinstance(part, Text) or reader is None:
            return part.text or ""
        return reader.read(part).text

    def _is_joined(self, modality: str, task: str | None = None) -> bool:
        """Whether several parts become one text; a route for the combination takes precedence."""
        own_route = "+" in modality and self._route_of(modality, task) is not None
        return not own_route and self._is_all_words(modality, task)

    def _is_all_words(self, modality: str, task: str | None = None) -> bool:
        media = set(modality.split("+")) - {"text"}
        has_text = self._route_of("text", task) is not None
        return has_text and all(self._reader(kind, task) for kind in media)

    def run(self, features: Features, arguments: Mapping[str, Any]) -> Features:
        """Run one route of a Router that stands behind another module.

        The route is chosen by the features' task and kind. Encoding does not call this for a Router
        that comes first: `Routed.steps` holds the modules of its route.
        """
        name = self._named(features.kind, features.task)
        if name is None:
            raise UnsupportedModality(self._no_route(features.kind, features.task))
        for module in _split_reader(self.routes[name])[1]:
            features = module.run(features, arguments)
        return features

    def forward(self, features: Features) -> Features:
        """Run without arguments; nn.Module requires this. `run` is the real entry."""
        return self.run(features, {})

    @property
    def takes_content(self) -> bool:
        """Whether its routes begin with modules that do; else it stands behind another module."""
        return bool(self.inputs)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that its routes take."""
        return self._modalities

    def _modalities_for(self, task: str | None) -> tuple[str, ...]:
        named = {*self.routes, *(kind or "" for _, kind in self.mappings)}
        taken = {kind for module in self.inputs.values() for kind in module.modalities}
        kinds = taken | (named & _KINDS)
        order = [*MODALITIES, *sorted(kinds - set(MODALITIES))]
        return tuple(kind for kind in order if kind in kinds and self._route_of(kind, task))

    @property
    def tokenizer(self) -> Any:
        """The tokenizer of the route for text, or else of the first route that has one."""
        first = self.inputs.get(self._route_of("text") or "")
        inputs = [*([first] if first else []), *self.inputs.values()]
        return next((one.tokenizer for one in inputs if one.tokenizer is not None), None)

    @property
    def max_length(self) -> int | None:
        """Tokens at which texts are truncated; the largest number if routes differ."""
        limits = [limit for one in self.inputs.values() if (limit := one.max_length) is not None]
        return max(limits, default=None)

    @max_length.setter
    def max_length(self, limit: int) -> None:
        cutting = {id(one): one for one in self.inputs.values() if one.max_length is not None}
        if not cutting:
            raise InputError(
                "No route of this model truncates texts, so max_seq_length cannot be set."
            )
        for module in cutting.values():
            module.max_length = limit

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """The vocabulary of the route for text."""
        route = self._route_of("text")
        return self.inputs[route].vocabulary if route else {}

    def supports(self, modality: str) -> bool:
        """Whether there is a route for it, or all its parts are texts or read as text."""
        return self._route_of(modality) is not None or self._is_all_words(modality)

    def encodes_as_text(self, modality: str) -> bool:
        """Whether its route begins with a reader; for several together, whether all media do."""
        return self._reader(modality) is not None or (
            modality != "text" and self._is_all_words(modality)
        )

    def read(self, content: Content) -> Content:
        """Add the words in media that are encoded as text."""
        modality = modality_name(content)
        if isinstance(content, Mixed) and self._is_joined(modality):
            return Text("\n".join(filter(None, map(self._words, content.parts))))
        if isinstance(content, Text | Mixed | Chat) or self._reader(modality) is None:
            return content
        return replace(content, text=self._words(content))

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """As the route's own module does; words that were read are split as a text."""
        routed = self.route(content, None)
        return routed.preprocessor.split(routed.content, overlap=overlap)

    def preprocess(self, contents: Sequence[Content], *, prompt: str = "") -> Features:
        """As the route's own module does."""
        routed = [self.route(content, None) for content in contents]
        return routed[0].preprocessor.preprocess([one.content for one in routed], prompt=prompt)

    def _distinct(self) -> dict[str, Module]:
        """Every module once, by the name of its folder, which is sentence-transformers'."""
        named: dict[int, tuple[str, Module]] = {}
        for route, modules in self.routes.items():
            for position, module in enumerate(modules):
                name = f"{route}_{position}_{type(module).__name__}"
                named.setdefault(id(module), (name, module))
        return dict(named.values())

    def config(self) -> dict[str, Any]:
        """The settings in the format of sentence-transformers 6."""
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
    def load(cls, folder: Path, options: PretrainedOptions) -> Self:
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
            raise CheckpointError(f"The Router in {folder} cannot be parsed: {error}") from error
        return cls(routes, mappings=mappings, default_route=parameters.get("default_route"))

    def save(self, folder: Path) -> None:
        """Write every module once, in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / self.config_file, self.config())
        for name, module in self._distinct().items():
            module.save(folder / name)

    @property
    def in_dim(self) -> int | None:
        """The size of the vectors that all routes take; None if they differ, or take Content."""
        if self.inputs:
            return None
        firsts = {
            next((m.in_dim for m in modules if m.in_dim), None) for modules in self.routes.values()
        }
        return firsts.pop() if len(firsts) == 1 else None

    @property
    def out_dim(self) -> int | None:
        """The size of the default route's vectors; those of other routes may differ."""
        return _out_dim(self.routes.get(self.default_route or "", ()))

    @property
    def out_dims(self) -> frozenset[int]:
        """The sizes of all routes' vectors."""
        return frozenset(filter(None, map(_out_dim, self.routes.values())))

    @property
    def label(self) -> str:
        """One line per route."""
        lines = [
            f"  {route}: {' -> '.join(module.label for module in modules)}"
            for route, modules in self.routes.items()
        ]
        return "\n".join(["Router", *lines])


def _split_reader(modules: Sequence[Module]) -> tuple[Reader | None, tuple[Module, ...]]:
    if not modules or not isinstance(modules[0], Reader):
        return None, tuple(modules)
    return modules[0], tuple(modules[1:])


def _out_dim(modules: Sequence[Module]) -> int | None:
    return next((module.out_dim for module in reversed(modules) if module.out_dim), None)


def _sorted(modality: str | None) -> str | None:
    return "+".join(sorted(modality.split("+"))) if modality else None


def _tuple(modality: str | None) -> str | tuple[str, ...] | None:
    """Several modalities together, as sentence-transformers writes them."""
    return tuple(modality.split("+")) if modality and "+" in modality else modality


def _read_mappings(saved: Mapping[str, str]) -> dict[Condition, str]:
    """Parse conditions, which are written as Python tuples: `"(None, ('image', 'text'))"`."""
    mappings: dict[Condition, str] = {}
    for written, route in saved.items():
        task, kind = ast.literal_eval(written)
        mappings[task, "+".join(sorted(kind)) if isinstance(kind, tuple) else kind] = route
    return mappings
