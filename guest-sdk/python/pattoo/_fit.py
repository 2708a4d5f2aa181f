"""Making a dataclass out of what JSON has."""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from typing import Any


class Misfit(Exception):
    """What was given is not what was wanted. `at` names the part, `text` says what about it."""

    def __init__(self, at: str, text: str) -> None:
        super().__init__(at, text)
        self.at, self.text = at, text


def fit(given: Any, kind: Any, strict: bool, at: str = "") -> Any:
    """`given` as a `kind`; `at` names it. Raises `Misfit`."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return given
    if dataclasses.is_dataclass(kind):
        return _dataclass(given, kind, strict, at)
    if origin in (typing.Union, types.UnionType):
        return _union(given, arguments, strict, at)
    if origin is typing.Literal:
        if given in arguments:
            return given
        raise _wrong(given, at, "one of " + ", ".join(f"`{argument}`" for argument in arguments))
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        try:
            return kind(given)
        except ValueError:
            raise _wrong(given, at, "one of " + ", ".join(f"`{member.value}`" for member in kind)) from None
    if (origin or kind) in (list, tuple):
        return _list(given, origin or kind, arguments, strict, at)
    if (origin or kind) is dict:
        if not isinstance(given, dict):
            raise _wrong(given, at, "an object")
        inner = arguments[1] if arguments else Any
        return {key: fit(value, inner, strict, _below(at, key)) for key, value in given.items()}
    if kind is None or kind is type(None):
        if given is None:
            return None
        raise _wrong(given, at, "null")
    # In JSON 1 and true are different, and 1 is as good a float as 1.0.
    if kind is float and isinstance(given, int) and not isinstance(given, bool):
        return float(given)
    if type(given) is kind:
        return given
    raise _wrong(given, at, _NAMES.get(kind, f"a {getattr(kind, '__name__', kind)}"))


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _dataclass(given: Any, kind: Any, strict: bool, at: str) -> Any:
    if not isinstance(given, dict):
        raise _wrong(given, at, "an object")
    hints = typing.get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.init]
    values = {}
    for field in fields:
        name = _below(at, field.name)
        if field.name in given:
            values[field.name] = fit(given[field.name], hints[field.name], strict, name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise Misfit(name, "is missing")
    known = [field.name for field in fields]
    for key in given:
        if strict and key not in known:
            raise Misfit(_below(at, key), f"is none of {', '.join(known)}")
    try:
        return kind(**values)
    except ValueError as error:
        # Out of `__post_init__`, where a dataclass may say more about itself than types can.
        raise Misfit(at, f"does not fit: {error}") from None


def _union(given: Any, kinds: tuple[Any, ...], strict: bool, at: str) -> Any:
    problem: Misfit | None = None
    for kind in kinds:
        try:
            return fit(given, kind, strict, at)
        except Misfit as error:
            # The one about what lies deepest says most.
            problem = problem or error
    assert problem is not None
    raise problem


def _list(given: Any, kind: Any, arguments: tuple[Any, ...], strict: bool, at: str) -> Any:
    if not isinstance(given, list):
        raise _wrong(given, at, "a list")
    if kind is tuple and arguments and arguments[-1] is not Ellipsis:
        if len(given) != len(arguments):
            raise _wrong(given, at, f"a list of {len(arguments)}")
        inner = arguments
    else:
        inner = (arguments[0] if arguments else Any,) * len(given)
    return kind(fit(value, each, strict, f"{at}[{place}]") for place, (value, each) in enumerate(zip(given, inner)))


def _below(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _wrong(given: Any, at: str, wanted: str) -> Misfit:
    shown = repr(given)
    return Misfit(at, f"is {shown if len(shown) <= 60 else shown[:57] + '...'}, and must be {wanted}")
