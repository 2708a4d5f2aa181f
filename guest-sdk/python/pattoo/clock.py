"""The time. The standard `time` and `datetime` work as well."""

from . import _host


def now() -> int:
    """The host's wall clock in Unix milliseconds. It may jump when the operator sets it. For the datapoints of one collection
    prefer `pattoo.collection_time`."""
    return _host.current().now()


def monotonic() -> float:
    """Seconds since this collection began. It never goes back; the difference of two calls is how long something took."""
    return monotonic_ns() / 1e9


def monotonic_ns() -> int:
    """The same in nanoseconds."""
    return _host.current().monotonic()
