"""Asking a Vendure server about many records at once, and changing many in one call.

Belongs here: lists by key, and mutations that share a call without sharing a fate. Does not belong here: what is
changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines.connectors.vendure_api import Node, VendureApi

Inputs = Mapping[str, Mapping[str, Any]]
"""The input of a mutation per record, by a name of the caller's."""


def listed(api: VendureApi, document: str, field: str, values: Sequence[str]) -> list[Node]:
    """The records whose `field` is one of the values. `field` is unique there, so there are no more than values."""
    if not values:
        return []
    options = {"take": len(set(values)), "filter": {field: {"in": list(dict.fromkeys(values))}}}
    (listing,) = api.query(document, options=options).values()
    return list(listing["items"])


def change_each(
    api: VendureApi,
    mutation: str,
    input_type: str,
    selection: str,
    inputs: Inputs,
    look_up: Callable[[Inputs], set[str]],
) -> dict[str, bool]:
    """One mutation per input, all in one call, and whether each went through.

    look_up: names of the inputs whose effect is there. Where any failed, the answer says nothing of the others: they
    are looked up, and what is missing is sent alone, so that one that the server can't take holds up no neighbour.
    """
    if not inputs or _change(api, mutation, input_type, selection, inputs):
        return dict.fromkeys(inputs, True)
    there = look_up(inputs)
    missing = [name for name in inputs if name not in there]
    if missing and len(inputs) > 1:
        for name in missing:
            _change(api, mutation, input_type, selection, {name: inputs[name]})
        there |= look_up({name: inputs[name] for name in missing})
    return {name: name in there for name in inputs}


def _change(api: VendureApi, mutation: str, input_type: str, selection: str, inputs: Inputs) -> bool:
    """Whether all went through for certain."""
    variables = ", ".join(f"$i{place}: {input_type}!" for place in range(len(inputs)))
    parts = " ".join(
        f"m{place}: {mutation}(input: $i{place}) {{ __typename {selection} }}" for place in range(len(inputs))
    )
    values = {f"i{place}": value for place, value in enumerate(inputs.values())}
    answer = api.change(f"mutation ({variables}) {{ {parts} }}", **values)
    made = [answer.data.get(f"m{place}") for place in range(len(inputs))]
    return not answer.errors and all(one is not None and "id" in one for one in made)
