"""Which datapoints are taken, and which are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ..datapoints import Counter32, Counter64, Datapoint, EmitError, Rejection, Scaled, Value

# The runtime's default for one collection.
MAX_DATAPOINTS = 10_000
# The width of the server's columns for keys, values of metadata, and targets.
MAX_BYTES = 512
# The limit of the server's numeric column.
MAX_VALUE = 1e30
# The server starts every series at 1 and takes only what is newer, in milliseconds.
EARLIEST = 2
# The runtime's default for clocks that go wrong, in milliseconds.
MAX_AHEAD = 5 * 60 * 1000


class Refused(Exception):
    """Why one is not taken: the kind, and the reason in words."""


class Rules:
    """What was taken in one collection."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._seen: set[tuple[str, ...]] = set()

    def check_target(self, target: str, count: int) -> None:
        if not 1 <= len(target.encode()) <= MAX_BYTES:
            reason = f"the name of a target is 1 to {MAX_BYTES} bytes, not {len(target.encode())}"
            raise EmitError(target, "target", reason)
        if not target.strip() or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in target):
            raise EmitError(target, "target", "the name of a target is printable")
        if len(self._seen) + count > MAX_DATAPOINTS:
            raise EmitError(target, "quota", f"a collection emits at most {MAX_DATAPOINTS} datapoints")

    def take(self, now: int, target: str, point: Datapoint) -> Datapoint:
        """The datapoint as pattoo has it, unless it is refused."""
        key = self._key(point.key, "key")
        value = _value(point.value)
        metadata = self._metadata(point.metadata, {})
        notes = self._metadata(point.notes, metadata)
        time = point.unix_millis()
        if time is not None and time < EARLIEST:
            raise Refused("timestamp", "the timestamp lies before anything that pattoo stores")
        if time is not None and time > now + MAX_AHEAD:
            raise Refused("timestamp", "the timestamp is more than 5 minutes ahead of now")
        # What pattoo hashes to tell one series from another. It puts nothing between a key and what follows.
        identity = (target, f"{key}{_data_type(value)}", *(name + text for name, text in metadata.items()))
        if identity in self._seen:
            reason = "another one with the same key, type and identifying metadata was emitted before"
            raise Refused("duplicate", reason)
        self._seen.add(identity)
        return Datapoint(key, value, metadata, notes, time)

    def _metadata(self, given: Mapping[str, object], before: Mapping[str, str]) -> dict[str, str]:
        """Of two with the same key the first counts."""
        normal: dict[str, str] = {}
        for name, value in given.items():
            key, text = self._key(name, "metadata"), _text(value)
            if key not in before:
                normal.setdefault(key, text)
        return normal

    def _key(self, key: str, kind: str) -> str:
        normal = key.lower().strip()
        if not normal:
            raise Refused(kind, "a key is not empty")
        # The server stores them as one word with a `_` between.
        if len(self._program) + 1 + len(normal.encode()) > MAX_BYTES:
            raise Refused(kind, f"program and key together are longer than the {MAX_BYTES} bytes that the server has for them")
        if "pattoo" in normal:
            raise Refused(kind, f"the key {normal!r} contains `pattoo`, which belongs to pattoo itself")
        return normal


def _text(value: object) -> str:
    text = str(value).strip()
    if len(text.encode()) > MAX_BYTES:
        raise Refused("metadata", f"a value of metadata has at most {MAX_BYTES} bytes")
    return text


def _value(value: Value) -> Value:
    number = value.value if isinstance(value, Scaled) else value
    if isinstance(number, float) and (not math.isfinite(number) or abs(number) >= MAX_VALUE):
        raise Refused("value", f"the value {number} is not a finite number below 1e30")
    return int(value) if isinstance(value, bool) else value


def _data_type(value: Value) -> int:
    """The number that pattoo has for a type."""
    match value:
        case Counter32():
            return 32
        case Counter64():
            return 64
        case str():
            return 2
        case float():
            return 101
        case _:
            return 99


def rejection(index: int, point: Datapoint, refused: Refused) -> Rejection:
    kind, reason = refused.args
    return Rejection(index, point.key, kind, reason)
