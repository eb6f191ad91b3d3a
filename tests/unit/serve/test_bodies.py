"""Bodies: bounded each and together, and given up when they don't come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from fastapi import Request

from pipelines.serve import bodies
from pipelines.serve.bodies import Bodies
from pipelines.serve.problems import ProblemError


def _request(parts: Iterable[bytes | None]) -> Request:
    """A request whose body comes in these parts; None: its sender hangs up. After the last one nothing ever comes."""
    coming = iter(parts)

    async def receive() -> dict[str, object]:
        for part in coming:
            if part is None:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": part, "more_body": part != b""}
        await asyncio.Event().wait()
        return {}

    return Request({"type": "http", "headers": [], "method": "POST"}, receive)


async def _read(bodies_: Bodies, parts: Iterable[bytes | None]) -> bytes:
    async with bodies_.read(_request(parts)) as body:
        return body


def _status(bodies_: Bodies, parts: Iterable[bytes | None]) -> int:
    with pytest.raises(ProblemError) as fault:
        asyncio.run(_read(bodies_, parts))
    return int(fault.value.status)


def test_parts_make_a_body() -> None:
    assert asyncio.run(_read(Bodies(10), [b"abc", b"def", b""])) == b"abcdef"


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    assert _status(Bodies(10), [b"abc"]) == 408


def test_a_body_that_breaks_off_is_400() -> None:
    assert _status(Bodies(10), [b"abc", None]) == 400


def test_an_endless_body_is_413_without_being_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_DRAINED_SECONDS", 0.05)
    assert _status(Bodies(10), [b"x" * 8, b"x" * 8]) == 413


def test_all_bodies_together_are_bounded_and_give_back_what_they_held() -> None:
    shared = Bodies(10, budget=12)

    async def two_at_once() -> None:
        async with shared.read(_request([b"x" * 10, b""])):
            with pytest.raises(ProblemError, match="Too many bodies"):
                await _read(shared, [b"y" * 3, b""])
            assert await _read(shared, [b"y" * 2, b""]) == b"yy"
        assert await _read(shared, [b"z" * 10, b""]) == b"z" * 10

    asyncio.run(two_at_once())


def test_a_body_that_failed_gives_back_what_it_held() -> None:
    shared = Bodies(10, budget=10)
    assert _status(shared, [b"x" * 9, None]) == 400
    assert asyncio.run(_read(shared, [b"z" * 10, b""])) == b"z" * 10
