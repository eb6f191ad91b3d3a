"""next_stage.yml: stages of products that a child grows through and categories bought once, checked.

Belongs here: reading and checking the file. Does not belong here: what the rules do (models.recommend).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from models.recommend.next_stage import StageSpan
from pipelines.errors import ConfigurationError
from pipelines.settings import PACKAGED_REFERENCE, Settings

FILE = "next_stage.yml"


@dataclass(frozen=True)
class Rules:
    """stages: spans without overlap within a line. durable_categories: beginnings of category paths."""

    stages: tuple[StageSpan, ...] = ()
    durable_categories: tuple[str, ...] = ()


def load_rules(settings: Settings) -> Rules:
    """The home's reference/next_stage.yml, else the packaged one. Raises ConfigurationError naming what is wrong."""
    own = settings.home / "reference" / FILE
    path = own if own.exists() else PACKAGED_REFERENCE / FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigurationError(
            f"{path} cannot be read as YAML ({type(error).__name__}); mend or remove it."
        ) from error
    content = {} if content is None else content
    if not isinstance(content, dict) or set(content) - {"stages", "durable_categories"}:
        raise ConfigurationError(f"{path}: the only settings are stages and durable_categories.")
    lines = content.get("stages") or {}
    if not isinstance(lines, dict):
        raise ConfigurationError(f"{path}: stages must be a mapping of lines, such as milk_powder.")
    categories = content.get("durable_categories") or []
    if not isinstance(categories, list) or not all(isinstance(one, str) and one.strip("/ ") for one in categories):
        raise ConfigurationError(f"{path}: durable_categories must be a list of category paths.")
    stages = tuple(span for line, entries in lines.items() for span in _line(f"{path}: stages.{line}", line, entries))
    return Rules(stages, tuple(one.strip("/ ") for one in categories))


def _line(where: str, line: Any, entries: Any) -> list[StageSpan]:
    if not isinstance(line, str) or not isinstance(entries, dict) or not entries:
        raise ConfigurationError(f"{where} must be a mapping of stages to [first month, month of the next].")
    spans = [_span(where, line, stage, months) for stage, months in entries.items()]
    spans.sort(key=lambda span: span.stage)
    for one, following in pairwise(spans):
        if following.from_month < one.until_month:
            raise ConfigurationError(
                f"{where}: stage {following.stage} begins in month {following.from_month:g}, before stage {one.stage} "
                f"ends in month {one.until_month:g}; spans must follow each other."
            )
    return spans


def _span(where: str, line: str, stage: Any, months: Any) -> StageSpan:
    is_number = isinstance(stage, int) and not isinstance(stage, bool) and 0 <= stage <= 9999
    are_months = isinstance(months, list) and len(months) == 2 and all(
        isinstance(month, int | float) and not isinstance(month, bool) for month in months
    )  # fmt: skip
    if not is_number or not are_months:
        raise ConfigurationError(
            f"{where}.{stage} is {months!r}; give [first month, month of the next], such as [6, 12]."
        )
    try:
        return StageSpan(line, stage, float(months[0]), float(months[1]))
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}.") from error
