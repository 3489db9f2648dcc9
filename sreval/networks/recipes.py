"""A recipe.toml as far as it names networks, and how its profiles change it.

`sreval.training.recipe` holds all that a recipe may say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sreval.config import config_text, parse_toml, validated
from sreval.errors import UsageError
from sreval.networks.architecture import Architecture


def recipe_networks(path: Path) -> list[Architecture]:
    """The network of every profile of a recipe. Raises UsageError where it can't be read."""
    raw, profiles = read_profiles(config_text(path), path)
    tables = [merged_with(raw, change).get("network") for change in profiles.values()]
    try:
        return [validated(Named, {"network": table}).network for table in tables]
    except ValueError as error:
        raise UsageError(f"{path}: {error}.", "Fix the value.") from None


@dataclass(frozen=True)
class Named:
    """What stands under `network`."""

    network: Architecture


def read_profiles(text: str, path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """A recipe's own fields, and the changes that each of its profiles makes."""
    raw = parse_toml(text, path)
    profiles = raw.pop("profiles", {})
    if not (isinstance(profiles, dict) and all(isinstance(p, dict) for p in profiles.values())):
        raise UsageError(f"{path}: profiles are tables of changes.", "Write [profiles.paper].")
    return raw, profiles


def merged_with(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with a change's values in the place of its own, table by table."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged_with(old, value) if both else value  # type: ignore[arg-type]
    return result
