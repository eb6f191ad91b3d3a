from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from dashboards.app import PAGES
from dashboards.language import LANGUAGES, Language, definitions, words
from pipelines.feeds.contract import FEEDS
from pipelines.feeds.ladder import Ladder

DASHBOARDS = Path(__file__).resolve().parents[2] / "dashboards"
SOURCES = "\n".join(path.read_text(encoding="utf-8") for path in sorted(DASHBOARDS.rglob("*.py")))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys() -> None:
    assert words("zh").keys() == words("en").keys()


def test_both_languages_fill_the_same_places() -> None:
    different = [key for key, text in words("en").items() if placeholders(text) != placeholders(words("zh")[key])]
    assert different == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_text_is_empty(code: str) -> None:
    assert [key for key, text in words(code).items() if not text.strip() or text == "None"] in ([], ["states.none"])  # type: ignore[arg-type]


def test_chinese_texts_are_chinese() -> None:
    technical = {"columns.sku", "common.download"}
    foreign = [key for key, text in words("zh").items() if not re.search("[一-鿿]", text) and key not in technical]
    assert foreign == []


def test_every_key_the_code_names_exists() -> None:
    named = re.findall(r"\.text\(\s*\"([a-z_0-9.]+)\"", SOURCES) + re.findall(r"\.text\('([a-z_0-9.]+)'", SOURCES)
    assert len(named) > 60
    assert sorted(set(named) - words("en").keys()) == []


def test_every_key_is_used() -> None:
    """By name, or by its group where the code picks one of a group."""
    picked = {"pages", "filters", "columns", "lifecycle", "strategies", "operations", "run_states", "delivery_states"}
    picked |= {
        "feeds",
        "health",
        "activation",
        "roles",
        "stock",
        "campaigns",
        "verdicts",
        "reviews",
        "review_states",
        "review_fields",
        "agreements",
    }
    picked |= {
        "models",
        "what_if",
        "feeds",
        "health",
        "activation",
        "roles",
        "stock",
        "campaigns",
        "verdicts",
        "segments",
        "operators",
        "event_measures",
        "event_filters",
    }
    picked |= {"stock", "verdicts", "identity_kinds", "link_relations"}
    picked |= {"steps", "channel_kinds", "doors", "store_roles", "peer_groups"}
    literals = {
        node.value
        for path in sorted(DASHBOARDS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    prefixes = tuple(literal for literal in literals if re.fullmatch(r"[a-z]+\.[a-z_]+_", literal))
    unused = [
        key
        for key in words("en")
        if key not in literals and key.split(".")[0] not in picked and not key.startswith(prefixes)
    ]
    assert unused == []


def test_every_page_has_a_name_in_both_languages() -> None:
    for page in PAGES:
        assert words("zh")[f"pages.{page.name}"] != words("en")[f"pages.{page.name}"]


def test_every_definition_is_complete_in_both_languages() -> None:
    for metric, entry in definitions().items():
        assert set(entry) == set(LANGUAGES), metric
        for code in LANGUAGES:
            assert set(entry[code]) == {"name", "text", "formula"}, metric
            assert all(isinstance(text, str) and text for text in entry[code].values()), metric


def test_every_metric_the_pages_show_is_defined() -> None:
    named = re.findall(r"(?:metric|tooltip)\(\"([a-z_]+)\"", SOURCES)
    named += re.findall(r"Card\(\s*\"([a-z_]+)\"", SOURCES) + re.findall(r"metric=\"([a-z_]+)\"", SOURCES)
    assert len(named) > 25
    assert sorted(set(named) - definitions().keys()) == []


def test_a_tooltip_links_to_the_metrics_place_on_the_page_of_definitions() -> None:
    assert "(definitions?lang=zh#net-amount)" in Language("zh").tooltip("net_amount")


def test_a_coded_value_without_a_name_reads_as_itself() -> None:
    assert Language("en").name_of("run_states", "paused_by_hand") == "paused_by_hand"
    assert Language("en").name_of("run_states", None) == "none"


def reasons_of_files() -> set[str]:
    """What `FileFault` is raised with anywhere, its gaps filled."""
    found = set()
    for path in (DASHBOARDS.parent / "pipelines" / "feeds").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FileFault":
                (message,) = node.args
                parts = message.values if isinstance(message, ast.JoinedStr) else [message]
                words = [str(part.value) if isinstance(part, ast.Constant) else "32" for part in parts]
                found.add(f"the file {''.join(words)}")
    return found


def test_every_reason_of_the_quarantine_has_chinese_words() -> None:
    rows = {fault.reason for feed in FEEDS.values() for fault in Ladder(feed, ()).faults if fault.reason}
    files = reasons_of_files()
    assert len(rows) > 15
    assert len(files) > 10
    chinese = Language("zh")
    assert [reason for reason in sorted(rows | files) if chinese.reason(reason) == reason] == []


def test_every_reason_to_wait_has_chinese_words() -> None:
    models = DASHBOARDS.parent / "dbt_project" / "models"
    sql = "\n".join(
        (models / path).read_text() for path in ("marts/waiting.sql", "intermediate/int_order_exceptions.sql")
    )
    reasons = set(re.findall(r"then '([^']+)'", sql)) | set(re.findall(r"'([^']+)' as reason", sql))
    assert len(reasons) >= 4
    assert [reason for reason in sorted(reasons) if Language("zh").reason(reason) == reason] == []


def test_every_reason_of_a_campaigns_decision_has_chinese_words() -> None:
    rules = (DASHBOARDS.parent / "pipelines" / "activation" / "decision_rules.py").read_text(encoding="utf-8")
    found = re.findall(r"(?:THEN|ELSE) '([^']+)'", rules)
    reasons = {f"{reason}mall" if reason.endswith(" ") else reason for reason in found if " " in reason}
    reasons |= {"2 coupon(s) within 90 days already", "1 coupon(s) of kind recall within 90 days already"}
    assert len(reasons) > 8
    assert [reason for reason in sorted(reasons) if Language("zh").reason(reason) == reason] == []


def test_a_reason_keeps_what_it_names_and_english_stays_as_it_is() -> None:
    reason = "the file lacks the column sku; every orders file needs it"
    assert Language("zh").reason(reason) == "文件缺少列 sku；orders 的每个文件都必须有"
    assert Language("en").reason(reason) == reason
    assert Language("zh").reason("never heard of") == "never heard of"
