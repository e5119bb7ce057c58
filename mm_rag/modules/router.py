"""Router: each modality takes its own way."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import nn

from mm_rag.content import MODALITIES, Content, Mixed, Text, modality_name
from mm_rag.errors import CheckpointError, UnsupportedModality
from mm_rag.modules import registry
from mm_rag.modules.module import Features, InputModule, LoadOptions, Module, read_json, write_json
from mm_rag.modules.readers import Reader


class Router(InputModule):
    """Send each modality through its own modules; routes may share a module.

    A route may begin with a `Reader`: its medium is turned into words first. Several contents
    together, all of which are text or read, become one text, part by part, and take the `text`
    route.

    Args:
        routes: By modality (`"image+text"` for several together), the modules in order. The first
            one that is not a reader takes Content.
    """

    type_name = "sentence_transformers.base.modules.router.Router"
    config_file = "router_config.json"

    def __init__(self, routes: Mapping[str, Sequence[Module]]) -> None:
        super().__init__()
        self.readers: dict[str, Reader] = {}
        self.inputs: dict[str, InputModule] = {}
        for modality, modules in routes.items():
            reader, rest = _split_reader(modules)
            if not rest or not isinstance(rest[0], InputModule):
                raise CheckpointError(f"The route {modality!r} has no module that takes content.")
            self.inputs[modality] = rest[0]
            if reader:
                self.readers[modality] = reader
        # nn.Sequential registers the parameters; a module that routes share is the same object.
        self.sub_modules = nn.ModuleDict({name: nn.Sequential(*m) for name, m in routes.items()})
        self.routes = {modality: tuple(modules) for modality, modules in routes.items()}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the routes."""
        return tuple(self.routes)

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Of the route for text."""
        return self.inputs["text"].vocabulary if "text" in self.inputs else {}

    def supports(self, modality: str) -> bool:
        """A combination takes a route of its own, or goes as words when all parts become words."""
        return modality in self.routes or self._all_words(modality)

    def reads(self, modality: str) -> bool:
        """Whether the route begins with a reader; a combination, whether all its media are read."""
        return modality in self.readers or (modality != "text" and self._all_words(modality))

    def prepare(self, content: Content) -> Content:
        """Read what is to be read; the words then travel with the content."""
        modality = modality_name(content)
        if isinstance(content, Mixed) and self._joins(modality):
            return Text("\n".join(filter(None, map(self._words, content.parts))))
        if isinstance(content, Mixed | Text) or modality not in self.readers:
            return content
        return replace(content, text=self._words(content))

    def split(self, content: Content, *, overlap: int = 32) -> list[Content]:
        """As the route's own module does; what is read is cut as words."""
        module, content = self._enter(content)
        return module.split(content, overlap=overlap)

    def batch_key(self, content: Content) -> Hashable:
        """Inputs of routes that begin with the same module, after reading, share batches."""
        module, content = self._enter(content)
        key = tuple(id(step) for step in self._steps(self._route(content)))
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
        route = self._route(contents[0])
        entered = [self._enter(content)[1] for content in contents]
        features = self.inputs[route].preprocess(entered, prompt=prompt)
        features.route = route
        return features

    def forward(self, features: Features) -> Features:
        """Run the modules of the route."""
        for module in self._steps(features.route):
            features = module(features)
        return features

    def _route(self, content: Content) -> str:
        modality = modality_name(content)
        if modality not in self.routes:
            raise UnsupportedModality(
                f"This model has no route for {modality}; it takes {', '.join(self.routes)}."
            )
        return modality

    def _steps(self, route: str) -> tuple[Module, ...]:
        return _split_reader(self.routes[route])[1]

    def _enter(self, content: Content) -> tuple[InputModule, Content]:
        """The module that takes the content, and what that module is given."""
        route = self._route(content)
        return self.inputs[route], Text(self._words(content)) if route in self.readers else content

    def _words(self, part: Content) -> str:
        if isinstance(part, Text):
            return part.text
        return self.readers[modality_name(part)].read(part).text

    def _joins(self, modality: str) -> bool:
        """Whether contents together become one text; a route for the combination goes before."""
        own_route = "+" in modality and modality in self.routes
        return self._all_words(modality) and not own_route

    def _all_words(self, modality: str) -> bool:
        parts = modality.split("+")
        return "text" in self.routes and all(p == "text" or p in self.readers for p in parts)

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
            "parameters": {"default_route": None, "allow_empty_key": True, "route_mappings": {}},
        }

    @classmethod
    def load(cls, folder: Path, options: LoadOptions) -> Self:
        """Load every module once, and connect the routes."""
        config = read_json(folder / cls.config_file)
        try:
            types, structure = config["types"], config["structure"]
            modules = {
                name: registry.module_class(kind, folder).load(folder / name, options)
                for name, kind in types.items()
            }
            routes = {
                route: [modules[name] for name in names] for route, names in structure.items()
            }
        except (KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{folder / cls.config_file} is incomplete: {error}") from error
        if unknown := [r for r in routes if not set(r.split("+")) <= set(MODALITIES)]:
            raise CheckpointError(
                f"{folder}: the Router has routes that are no modalities: {', '.join(unknown)}."
            )
        return cls(routes)

    def save(self, folder: Path) -> None:
        """Write every module once, in a folder of its own."""
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / self.config_file, self.config())
        for name, module in self._distinct().items():
            module.save(folder / name)

    @property
    def gives(self) -> int | None:
        """The dimension of its routes, which must agree.

        Raises:
            CheckpointError: They do not.
        """
        ends = {
            route: next((m.gives for m in reversed(modules) if m.gives), None)
            for route, modules in self.routes.items()
        }
        if len(set(ends.values())) > 1:
            raise CheckpointError(f"The routes of the Router give different dimensions: {ends}.")
        return next(iter(ends.values()))

    @property
    def label(self) -> str:
        """One line per route."""
        lines = [
            f"  {route}: {' -> '.join(module.label for module in modules)}"
            for route, modules in self.routes.items()
        ]
        return "\n".join(["Router", *lines])


def _split_reader(modules: Sequence[Module]) -> tuple[Reader | None, tuple[Module, ...]]:
    first, *rest = modules
    return (first, tuple(rest)) if isinstance(first, Reader) else (None, tuple(modules))
