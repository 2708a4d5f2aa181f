"""Who this collector is, and what its operator set."""

from __future__ import annotations

import json
from typing import Any, TypeVar, overload

from . import _host
from ._fit import Misfit, fit
from .errors import Error

T = TypeVar("T")

__all__ = ["SettingsError", "collection_time", "polling_interval", "program", "settings"]


class SettingsError(Error):
    """The settings are not what the collector wants. The text names the setting."""


def program() -> str:
    """The name under which the datapoints reach pattoo, such as `LAVA_SCRIPT`."""
    return _host.current().program()


def polling_interval() -> int:
    """Seconds between the starts of two collections."""
    return _host.current().polling_interval()


def collection_time() -> int:
    """When this collection began, in Unix milliseconds. It does not change during a collection: give it to every datapoint
    that should have the same timestamp."""
    return _host.current().collection_time()


@overload
def settings() -> dict[str, Any]: ...
@overload
def settings(kind: type[T], *, strict: bool = False) -> T: ...
def settings(kind: Any = None, *, strict: bool = False) -> Any:
    """What the operator set for this collector.

    Alone it is a dictionary, empty when nothing was set. A key that is missing in it raises `SettingsError` with a text
    for the operator in place of a bare `KeyError`.

    Given a dataclass, the settings are checked against the types of its fields, and an instance is made of them: nested
    dataclasses, lists, dictionaries, `X | None`, `Literal` and enums by their values are understood, and a `ValueError` of
    `__post_init__` is told as well. With `strict` a setting that no field has is an error, so that one which is misspelt does
    not pass in silence.

        @dataclass
        class Settings:
            device: str
            unit: int = 1

        wanted = pattoo.settings(Settings)
    """
    given = json.loads(_host.current().settings(), object_hook=_Settings)
    if kind is None:
        return given
    try:
        return fit(given, kind, strict)
    except Misfit as misfit:
        what = f"the setting `{misfit.at}`" if misfit.at else "what is set"
        raise SettingsError(f"{what} {misfit.text}") from None


class _Settings(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise SettingsError(f"the setting `{key}` is missing")
