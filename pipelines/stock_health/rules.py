"""stock.yml: lead times, service levels and how far goods may be moved, as checked configuration."""

from __future__ import annotations

from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings

Days = Annotated[int, Field(ge=0, le=365)]
ServiceLevel = Annotated[float, Field(ge=0.5, le=0.999)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CategoryRules(_Strict):
    """What differs for a category; None: as for all."""

    lead_time_days: Days | None = None
    review_days: Days | None = None
    service_level: ServiceLevel | None = None


class StockRules(_Strict):
    """The whole file; see its head for each setting."""

    lead_time_days: Days = 7
    review_days: Annotated[int, Field(ge=1, le=365)] = 7
    service_level: ServiceLevel = 0.95
    history_days: Annotated[int, Field(ge=28, le=1100)] = 182
    transfer_within: Literal["city", "province", "timezone", "anywhere"] = "timezone"
    categories: dict[str, CategoryRules] = Field(default_factory=dict)


def load_stock_rules(settings: Settings) -> StockRules:
    """Read and check stock.yml. Raises ConfigurationError naming the file, the setting and the remedy."""
    path = settings.reference("stock.yml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    try:
        return StockRules.model_validate(content or {})
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: {fault['msg'][:1].lower()}{fault['msg'][1:]}"
            for fault in error.errors()
        ]
        raise ConfigurationError(f"{path}: {'; '.join(faults)}.") from error
