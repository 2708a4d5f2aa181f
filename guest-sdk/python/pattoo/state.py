"""Small values that survive from one collection of this program to the next, such as a cursor or the last value seen.

Reads see the collection's own writes. What was written is kept, all of it at once, only when the collection ends well:
one that fails changes nothing.

    before = int(state.get("collections") or 0)
    state.set("collections", str(before + 1))
"""

from __future__ import annotations

from . import _host
from .errors import Error


class StateError(Error):
    """A value was not set. `kind` is `quota`, `invalid` or `other`."""

    def __init__(self, key: str, kind: str, reason: str) -> None:
        super().__init__(f"state `{key}` was not set: {reason}")
        self.key, self.kind, self.reason = key, kind, reason


def get(key: str) -> bytes | None:
    """The value of a key, or `None` if it was never set."""
    return _host.current().state_get(key)


def set(key: str, value: bytes | str) -> None:
    """Sets a value, replacing the one before; a text is kept in UTF-8. A key is 1 to 255 bytes, and all values of the program
    together have a limit (1 MiB unless set); beyond it raises `StateError`."""
    _host.current().state_set(key, value.encode() if isinstance(value, str) else bytes(value))


def remove(key: str) -> None:
    """Removes a key. One that was never set is not an error."""
    _host.current().state_remove(key)


def keys() -> list[str]:
    """All keys, sorted by their bytes."""
    return _host.current().state_keys()
