"""Where the parts of a model are: on one device, or where a `device_map` has put them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mm_rag.errors import InputError


def place(model: nn.Module, device: torch.device) -> None:
    """Move a model's weights, but for the parts that a `device_map` has placed.

    Those stay where they are; moving them would undo the map, and fails for weights that are kept
    in memory or on the disk until they are used.
    """
    if _map_of(model) is not None:
        return
    if not any(_map_of(part) is not None for part in model.modules()):
        model.to(device)
        return
    for part in model.children():
        place(part, device)


def move(model: nn.Module, device: torch.device) -> None:
    """Move a whole model.

    Raises:
        InputError: A `device_map` has placed its parts.
    """
    if any(_map_of(part) is not None for part in model.modules()):
        raise InputError("A device_map has placed this model: load it again to have it elsewhere.")
    model.to(device)


def input_device(model: nn.Module) -> torch.device:
    """The device that a model's inputs go to: of its first weights, or the map's main device."""
    found = _map_of(model)
    if found is not None:
        # As in accelerate: what is kept in memory or on the disk is run on the main device.
        devices = [device for device in found.values() if device not in ("cpu", "disk")]
        main: Any = devices[0] if devices else "cpu"
        return torch.device(main)
    return next((weight.device for weight in model.parameters()), torch.device("cpu"))


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """All weights by name, those too that a `device_map` keeps elsewhere until they are used."""
    state: dict[str, Tensor] = model.state_dict()
    if any(tensor.is_meta for tensor in state.values()):
        from accelerate.utils.modeling import get_state_dict_offloaded_model

        state = get_state_dict_offloaded_model(model)
    return state


def _map_of(model: nn.Module) -> dict[str, Any] | None:
    return getattr(model, "hf_device_map", None)
