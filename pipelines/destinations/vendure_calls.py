"""Asking a Vendure server about many records at once, and changing many in one call.

Belongs here: lists by key, and mutations that share a call without sharing a fate. Does not belong here: what is
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.connectors.vendure_api import Node, VendureApi

Inputs = Mapping[str, Mapping[str, Any]]
"""The arguments of a mutation per record, by a name of the caller's."""


@dataclass(frozen=True)
class Mutation:
    """A mutation by its name, the GraphQL types of its arguments, and what is asked of its result (with an id)."""

    name: str
    arguments: Mapping[str, str]
    selection: str = "id"


def listed(api: VendureApi, document: str, field: str, values: Sequence[str]) -> list[Node]:
    """The records whose `field` is one of the values. `field` is unique there, so there are no more than values."""
    if not values:
        return []
    options = {"take": len(set(values)), "filter": {field: {"in": list(dict.fromkeys(values))}}}
    (listing,) = api.query(document, options=options).values()
    return list(listing["items"])


def change_each(
    api: VendureApi, mutation: Mutation, inputs: Inputs, look_up: Callable[[Inputs], set[str]]
) -> dict[str, bool]:
    """The mutation once per input, all in one call, and whether each went through.

    look_up: names of the inputs whose effect is there. The first one that fails ends the call, and the answer says
    nothing of those before: they are looked up, and what is missing is sent alone, so that one that the server can't
    take holds up no neighbour.
    """
    if not inputs or _change(api, mutation, inputs):
        return dict.fromkeys(inputs, True)
    there = look_up(inputs)
    missing = {name: inputs[name] for name in inputs if name not in there}
    if missing and len(inputs) > 1:
        for name in missing:
            _change(api, mutation, {name: inputs[name]})
        there |= look_up(missing)
    return {name: name in there for name in inputs}


def _change(api: VendureApi, mutation: Mutation, inputs: Inputs) -> bool:
    """Whether all went through for certain."""
    variables: list[str] = []
    parts: list[str] = []
    values: dict[str, Any] = {}
    for place, given in enumerate(inputs.values()):
        names = {argument: f"{argument}{place}" for argument in mutation.arguments}
        variables += [f"${names[argument]}: {kind}" for argument, kind in mutation.arguments.items()]
        arguments = ", ".join(f"{argument}: ${name}" for argument, name in names.items())
        parts.append(f"m{place}: {mutation.name}({arguments}) {{ __typename {mutation.selection} }}")
        values |= {name: given[argument] for argument, name in names.items()}
    answer = api.change(f"mutation ({', '.join(variables)}) {{ {' '.join(parts)} }}", **values)
    made = [answer.data.get(f"m{place}") for place in range(len(inputs))]
    return not answer.errors and all(one is not None and "id" in one for one in made)
