"""The way of a measurement to pattoo.

    # A single value is a line. An exception says that it was not taken.
    emit("SITE_A", "ABC", 123.456)

    # More can be said about it: what identifies the series, and what merely describes it.
    emit("plc1", "input_register_30386", register, {"unit": "007"}, notes={"firmware": "1.2"})

    # Many go together, where one that is refused costs no other.
    rejections = emit_all("plc1", [Datapoint(f"flow_{line}", 0.5) for line in range(4)])

The runtime takes a datapoint or says why not. What is refused is logged and counted for the operator in any case, and what
was taken is kept even if the collection fails later.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from . import _host
from .errors import Error


@dataclass(frozen=True, slots=True)
class Scaled:
    """A number that was whole before a multiplier was applied, which pattoo files under integers: `Scaled(235 * 0.1)`."""

    value: float


@dataclass(frozen=True, slots=True)
class Counter32:
    """A counter that only grows and wraps at 2^32. Pattoo stores its rate of change."""

    value: int


@dataclass(frozen=True, slots=True)
class Counter64:
    """A counter that only grows and wraps at 2^64. Pattoo stores its rate of change."""

    value: int


Value = int | float | str | Scaled | Counter32 | Counter64
"""A measured value, whose type chooses pattoo's: `int` is an integer (of 64 bits; a `bool` is 0 or 1), `float` a floating-point
number (finite and of an absolute value below 1e30), `str` text, which the server keeps out of its time series."""


@dataclass(frozen=True, slots=True)
class Datapoint:
    """One measurement of one thing at one moment."""

    key: str
    """What was measured, such as `input_register_30386`. Lower-cased and stripped of white space around it; refused when
    then empty, when it contains `pattoo`, or when it is too long (program and key together hold 512 bytes)."""
    value: Value
    """The measured value."""
    metadata: Mapping[str, object] = field(default_factory=dict)
    """What is part of the series: another value is another series on the server, and so is another order. Example: a unit or a
    serial number. Values are written as text, as metadata always is in pattoo."""
    notes: Mapping[str, object] = field(default_factory=dict)
    """What can change without starting a new series. Example: a firmware version."""
    time: int | datetime.datetime | None = None
    """When it was measured, in Unix milliseconds or as a `datetime` with a time zone; `None` stands for the moment in which it is
    emitted. More than 5 minutes ahead of the host's clock (unless set otherwise) is refused."""

    def unix_millis(self) -> int | None:
        """The time as the contract has it."""
        if not isinstance(self.time, datetime.datetime):
            return self.time
        if self.time.tzinfo is None:
            raise ValueError(f"the time {self.time} of {self.key!r} has no time zone")
        epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
        return (self.time - epoch) // datetime.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Rejection:
    """One datapoint that was not taken."""

    index: int
    """Its place among those that were emitted together, from 0."""
    key: str
    """Its key, as it was given."""
    kind: str
    """`key`, `value`, `metadata`, `timestamp`, `duplicate` or `other`."""
    reason: str
    """Why, for the author of the collector."""

    def __str__(self) -> str:
        return f"datapoint {self.key!r} was refused: {self.reason}"


class EmitError(Error):
    """None of the datapoints were taken. `kind` is `target`, `quota` or `other`."""

    def __init__(self, target: str, kind: str, reason: str) -> None:
        super().__init__(f"target {target!r}: {reason}")
        self.target, self.kind, self.reason = target, kind, reason


class RejectedError(EmitError):
    """Some datapoints were refused: `rejections` has each. The others of the same call were taken."""

    def __init__(self, target: str, rejections: list[Rejection]) -> None:
        super().__init__(target, "rejected", "; ".join(map(str, rejections)))
        self.rejections = rejections


def emit(
    target: str,
    key: str,
    value: Value,
    metadata: Mapping[str, object] | None = None,
    *,
    notes: Mapping[str, object] | None = None,
    time: int | datetime.datetime | None = None,
) -> None:
    """Emits one value of a target: the device, site or thing that was measured, such as `plc1` (1 to 512 bytes).

    Raises `RejectedError` if it was not taken; for many values `emit_all` serves better.
    """
    rejections = emit_all(target, [Datapoint(key, value, metadata or {}, notes or {}, time)])
    if rejections:
        raise RejectedError(target, rejections)


def emit_all(target: str, datapoints: Iterable[Datapoint]) -> list[Rejection]:
    """Emits many datapoints of a target in one step, and returns those that were refused: none, if all is well. The runtime logs
    them, so a collector may leave it at that.

    Raises `EmitError` if none were taken, because of the target's name or a limit.
    """
    given = list(datapoints)
    # What no field of the contract can hold is refused here, so that it costs no other either.
    refused = {index: reason for index, point in enumerate(given) if (reason := _unfit(point)) is not None}
    places = [index for index in range(len(given)) if index not in refused]
    rejections = [Rejection(index, given[index].key, "value", reason) for index, reason in refused.items()]
    if not given or places:
        for rejection in _host.current().emit(target, [given[index] for index in places]):
            index = places[rejection.index]
            rejections.append(Rejection(index, given[index].key, rejection.kind, rejection.reason))
    for index, reason in refused.items():
        _host.current().log(30, f"{target}: datapoint {given[index].key!r} was refused: {reason}")
    return sorted(rejections, key=lambda rejection: rejection.index)


_RANGES = {int: (-(2**63), 2**63 - 1), Counter32: (0, 2**32 - 1), Counter64: (0, 2**64 - 1)}


def _unfit(point: Datapoint) -> str | None:
    """Why a value cannot be handed over, if it cannot. A value of no known type is the author's mistake."""
    value = point.value
    if isinstance(value, (float, str)) or (isinstance(value, Scaled) and isinstance(value.value, (int, float))):
        return None
    kind = int if isinstance(value, int) else type(value)
    number = value if isinstance(value, int) else getattr(value, "value", None)
    if kind not in _RANGES or not isinstance(number, int):
        raise TypeError(f"the value {value!r} of {point.key!r} is none that pattoo has a type for")
    low, high = _RANGES[kind]
    return None if low <= number <= high else f"the value {number} is not between {low} and {high}"
