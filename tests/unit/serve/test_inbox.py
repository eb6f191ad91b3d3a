"""The inbox: what was acknowledged is taken, whenever whoever is killed."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipelines import inbox
from pipelines.connectors.protocol import WebhookEvent
from pipelines.settings import Settings


def _event(number: int, version: str | None = None) -> WebhookEvent:
    return WebhookEvent("orders", f"O{number}", f"E{number}", version)


def test_what_was_appended_is_taken_once_it_is_done_no_more(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1), _event(2, "7")])
    taken = inbox.take(settings, "mall")
    assert taken.events == (_event(1), _event(2, "7"))
    inbox.done(settings, taken)
    inbox.done(settings, taken)
    assert inbox.take(settings, "mall") == inbox.Taken()


def test_channels_have_inboxes_of_their_own(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1)])
    assert inbox.take(settings, "pos") == inbox.Taken()
    assert inbox.take(settings, "mall").events == (_event(1),)


def test_a_pull_that_was_killed_before_done_finds_its_notices_again(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1)])
    inbox.take(settings, "mall")
    inbox.append(settings, "mall", [_event(2)])
    assert inbox.take(settings, "mall").events == (_event(1), _event(2))


def test_done_forgets_nothing_that_came_after_take(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1)])
    taken = inbox.take(settings, "mall")
    inbox.append(settings, "mall", [_event(1, "later")])
    inbox.done(settings, taken)
    assert inbox.take(settings, "mall").events == (_event(1, "later"),)


def test_replayed_notices_make_one_record_to_read_with_the_newest_notice(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1, "1"), _event(1, "2")])
    inbox.append(settings, "mall", [_event(1, "3")])
    assert inbox.take(settings, "mall").events == (_event(1, "3"),)


def test_a_torn_last_line_is_ignored_and_never_merges_with_the_next(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1)])
    growing = inbox.inbox_folder(settings, "mall") / "growing.jsonl"
    with growing.open("ab") as file:
        file.write(b'{"feed": "orders", "source_id": "TORN')
    inbox.append(settings, "mall", [_event(2)])
    taken = inbox.take(settings, "mall")
    assert (taken.events, taken.unreadable) == ((_event(1), _event(2)), 0)


def test_a_torn_only_line_leaves_an_empty_inbox(settings: Settings) -> None:
    folder = inbox.inbox_folder(settings, "mall")
    folder.mkdir(parents=True)
    (folder / "growing.jsonl").write_bytes(b'{"feed": "or')
    assert inbox.take(settings, "mall") == inbox.Taken()


@pytest.mark.parametrize("line", [b"\0\0\0\0", b"[]", b"{}", b'{"feed": 1}', b"\xff", b"[" * 100_000, b""])
def test_lines_of_a_broken_disk_are_counted_and_harm_no_neighbour(settings: Settings, line: bytes) -> None:
    inbox.append(settings, "mall", [_event(1)])
    with (inbox.inbox_folder(settings, "mall") / "growing.jsonl").open("ab") as file:
        file.write(line + b"\n")
    inbox.append(settings, "mall", [_event(2)])
    taken = inbox.take(settings, "mall")
    assert (taken.events, taken.unreadable) == ((_event(1), _event(2)), 1)


def test_a_full_disk_keeps_nothing_and_spoils_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    inbox.append(settings, "mall", [_event(1)])
    write = os.write

    def half_then_full(file: int, content: memoryview) -> int:
        if len(content) > 40:
            return write(file, content[:40])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", half_then_full)
    with pytest.raises(OSError, match="No space"):
        inbox.append(settings, "mall", [_event(2)])
    monkeypatch.undo()
    inbox.append(settings, "mall", [_event(3)])
    assert inbox.take(settings, "mall").events == (_event(1), _event(3))


def test_a_sync_that_fails_keeps_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        inbox.append(settings, "mall", [_event(1)])
    monkeypatch.undo()
    assert inbox.take(settings, "mall").events == ()


def test_a_large_backlog_is_taken_in_portions(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "SEAL_BYTES", 500)
    monkeypatch.setattr(inbox, "TAKEN_RECORDS", 10)
    for number in range(40):
        inbox.append(settings, "mall", [_event(number)])
    seen: list[str] = []
    while (taken := inbox.take(settings, "mall")).files:
        assert len(taken.events) < 20
        seen += [event.source_id for event in taken.events]
        inbox.done(settings, taken)
    assert seen == [f"O{number}" for number in range(40)]


def test_many_writers_and_a_taker_lose_nothing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "SEAL_BYTES", 2000)
    seen: set[str] = set()
    is_over = threading.Event()

    def keep_taking() -> None:
        while True:
            last = is_over.is_set()
            taken = inbox.take(settings, "mall")
            seen.update(event.source_id for event in taken.events)
            inbox.done(settings, taken)
            if last:
                return

    taker = threading.Thread(target=keep_taking)
    taker.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: inbox.append(settings, "mall", [_event(number)]), range(200)))
    is_over.set()
    taker.join()
    assert seen == {f"O{number}" for number in range(200)}
    assert inbox.waiting_files(settings, "mall") == []


def test_nothing_but_the_five_names_is_written_and_nobody_else_can_read_it(settings: Settings) -> None:
    inbox.append(settings, "mall", [_event(1)])
    (growing,) = inbox.waiting_files(settings, "mall")
    assert set(json.loads(growing.read_text())) == {"feed", "source_id", "event_id", "version", "received_at"}
    assert stat.S_IMODE(growing.stat().st_mode) == 0o600


def test_every_notice_acknowledged_before_a_kill_is_taken(settings: Settings) -> None:
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from pipelines import inbox
        from pipelines.connectors.protocol import WebhookEvent
        from pipelines.settings import Settings
        settings = Settings(home=Path(sys.argv[1]))
        number = 0
        while True:
            inbox.append(settings, "mall", [WebhookEvent("orders", f"O{number}", "e")])
            print(number, flush=True)
            number += 1
        """
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(settings.home)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline() for _ in range(30)]
    child.kill()
    acknowledged += child.stdout.readlines()
    child.wait()
    taken = {event.source_id for event in inbox.take(settings, "mall").events}
    whole = {f"O{int(line)}" for line in acknowledged if line.endswith("\n")}
    assert len(whole) >= 30
    assert whole <= taken
