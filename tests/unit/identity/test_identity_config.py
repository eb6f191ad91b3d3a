"""identity.yml: what is wrong is named, with the file and the remedy."""

import pytest

from pipelines.errors import ConfigurationError
from pipelines.identity.config import load_rules
from pipelines.settings import Settings


def rules_from(home, text):
    (home / "reference").mkdir(exist_ok=True)
    (home / "reference" / "identity.yml").write_text(text, encoding="utf-8")
    return load_rules(Settings(home=home))


def test_the_packaged_rules_are_the_contracts(tmp_path):
    rules = load_rules(Settings(home=tmp_path))
    assert set(rules.limits.values()) == {10}
    assert (rules.household_kinds, rules.recycled_kinds, rules.recycled_after_days) == (("phone",), ("phone",), 365)


def test_the_homes_own_file_goes_before_the_packaged_one(tmp_path):
    rules = rules_from(tmp_path, "limits: {default: 4, phone: 6, device_id: 2}")
    assert (rules.limits["phone"], rules.limits["email"], rules.limits["device_id"]) == (6, 4, 2)


def test_an_empty_file_means_the_defaults(tmp_path):
    assert rules_from(tmp_path, "").limits["phone"] == 10


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("limits: {fax: 3}", "'fax'"),
        ("limits: {phone: many}", "limits.phone is 'many'"),
        ("limits: {phone: 0}", "limits.phone is 0"),
        ("limits: {phone: true}", "limits.phone is True"),
        ("limits: [phone]", "limits must map"),
        ("household_kinds: [device_id]", "household_kinds"),
        ("recycled_kinds: phone", "recycled_kinds"),
        ("recycled_kinds: [[]]", "recycled_kinds"),
        ("recycled_after_days: -1", "recycled_after_days is -1"),
        ("limit: 3", "may hold only"),
        ("- 3", "may hold only"),
        ("{", "not readable YAML"),
    ],
)
def test_a_wrong_entry_is_named_with_its_file(tmp_path, text, named):
    with pytest.raises(ConfigurationError) as raised:
        rules_from(tmp_path, text)
    assert named in str(raised.value)
    assert "identity.yml" in str(raised.value)


def test_a_change_of_any_rule_changes_the_fingerprint(tmp_path):
    texts = ("", "limits: {phone: 3}", "household_kinds: []", "recycled_kinds: []", "recycled_after_days: 30")
    assert len({rules_from(tmp_path, text).fingerprint() for text in texts}) == len(texts)
