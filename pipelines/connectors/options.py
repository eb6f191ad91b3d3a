"""Reading the settings of a connector or a destination, with errors that name channel, setting and remedy.

read = SettingsReader(options)
url, key = read.url(), read.secret("api_key")
read.end()
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.connectors.protocol import Options
from pipelines.errors import ConfigurationError

_REQUIRED: Any = object()


def read_secrets(where: str, settings: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets whose variables the settings in `_env` name, by setting name without `_env`.

    where: names the entry in errors. Raises ConfigurationError if a variable is not set.
    """
    secrets = {}
    for name, variable in settings.items():
        if not name.endswith("_env"):
            continue
        if not _is_variable(variable):
            # Not quoted: whoever mistakes this setting writes the secret itself here.
            raise ConfigurationError(
                f"{where} has {name}, which must be the name of an environment variable in capitals, such as MALL_KEY."
            )
        value = environ.get(variable, "").strip()
        if not value:
            raise ConfigurationError(
                f"{where} has {name}: {variable}, which is not set; set it in the environment (.env.example)."
            )
        secrets[name.removesuffix("_env")] = value
    return secrets


def _is_variable(value: Any) -> bool:
    return isinstance(value, str) and value.isidentifier() and value.isascii() and value.upper() == value


class SettingsReader:
    """Takes settings by name and type; `end` refuses what nobody took. Every method raises ConfigurationError."""

    def __init__(self, options: Options, where: str = "") -> None:
        self._options = options
        self._where = where or f"channels.yml: channel {options.channel!r}"
        self._settings = set[str]()
        self._secrets = set[str]()

    def text(self, name: str, default: Any = _REQUIRED, example: str = "a text") -> Any:
        """A text that is not empty; numbers of YAML (an id) count as text."""
        value = self._take(name, default, example)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            raise self._wrong(name, example)
        return str(value).strip()

    def url(self, name: str = "url", default: Any = _REQUIRED) -> Any:
        """An http or https address; its last slash is cut off."""
        value = self.text(name, default, "an address such as https://shop.example")
        if value is default:
            return value
        if not value.startswith(("http://", "https://")):
            raise self._wrong(name, "an address such as https://shop.example")
        return value.rstrip("/")

    def ca_file(self) -> Path | None:
        """The private CA's file, if one is named. Whether it can be read is seen by the client."""
        value = self.text("ca_file", None, "the path of a PEM file")
        return None if value is None else Path(value)

    def whole(self, name: str, default: int, least: int = 1, most: int = 1_000_000) -> int:
        """A whole number within bounds."""
        value = self._take(name, default, "")
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(name, f"a whole number from {least} to {most}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or false."""
        value = self._take(name, default, "")
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def texts(self, name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A list of texts."""
        value = self._take(name, list(default), "")
        if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
            raise self._wrong(name, "a list of texts")
        return tuple(str(item) for item in value)

    def mapping(self, name: str) -> dict[str, Any]:
        """A mapping; empty if it isn't given."""
        value = self._take(name, {}, "")
        if not isinstance(value, dict):
            raise self._wrong(name, "a mapping")
        return value

    def secret(self, name: str, default: Any = _REQUIRED) -> Any:
        """The secret whose variable the setting `name`_env names."""
        self._secrets.add(name)
        if name in self._options.secrets:
            return self._options.secrets[name]
        if default is _REQUIRED:
            raise ConfigurationError(
                f"{self._where} needs {name}_env, the name of the environment variable that holds its {name}."
            )
        return default

    def end(self) -> None:
        """Refuse settings that nobody asked for: a misspelt name must not be passed over. What a destination inherits
        from its channel is the connector's to check."""
        inherited = self._options.inherited
        unknown = sorted(set(self._options.settings) - self._settings - inherited)
        unknown += sorted(f"{name}_env" for name in set(self._options.secrets) - self._secrets - inherited)
        if unknown:
            known = sorted([*self._settings, *(f"{name}_env" for name in self._secrets)])
            raise ConfigurationError(
                f"{self._where} does not know the setting(s) {', '.join(unknown)}; it knows {', '.join(known)}."
            )

    def _take(self, name: str, default: Any, example: str) -> Any:
        self._settings.add(name)
        value = self._options.settings.get(name)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise ConfigurationError(f"{self._where} needs the setting {name}; give {example}.")
        return default

    def _wrong(self, name: str, wanted: str) -> ConfigurationError:
        return ConfigurationError(f"{self._where} has an unusable {name}; give {wanted}.")
