"""What a test sets up, and what comes of a collection."""

from __future__ import annotations

import json as _json
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import modbus, state
from .._run import run
from ..datapoints import Datapoint, Rejection, Value
from ..http import DeniedError, HttpError, InvalidError, Request, Response
from ._device import FakeDevice
from ._rules import Refused, Rules, rejection

# The runtime's default: all keys and values together.
MAX_STATE = 1 << 20


@dataclass(frozen=True)
class Emitted:
    """A datapoint that was taken. Keys and metadata are as pattoo has them: keys in lower case, no white space around anything,
    values of metadata as text, the time in Unix milliseconds."""

    target: str
    datapoint: Datapoint


@dataclass(frozen=True)
class LogLine:
    """A line that was logged."""

    level: int
    """A level of `logging`."""
    message: str


@dataclass
class Collection:
    """What came of a collection."""

    error: str | None = None
    """How it ended: `None` if well, else the text that the operator would read."""
    exception: BaseException | None = None
    """What left `collect`, if anything did."""
    datapoints: list[Emitted] = field(default_factory=list)
    """What was taken, in order."""
    rejections: list[Rejection] = field(default_factory=list)
    """What was refused, in order."""
    logs: list[LogLine] = field(default_factory=list)
    """What was logged, in order."""
    requests: list[Request] = field(default_factory=list)
    """What was fetched, or tried to, in order."""
    reads: list[modbus.Span] = field(default_factory=list)
    """What was read of devices, or tried to, in order."""

    def values(self) -> list[tuple[str, str, Value]]:
        """Target, key and value of what was taken, in order: the short form for a test that looks at all of it."""
        return [(emitted.target, emitted.datapoint.key, emitted.datapoint.value) for emitted in self.datapoints]

    def value(self, target: str, key: str) -> Value | None:
        """The value that was taken of a target under a key, which is in lower case; the first one if there are several."""
        return next((value for *found, value in self.values() if found == [target, key]), None)

    def messages(self, level: int = 20) -> list[str]:
        """What was logged at this level of `logging` or above."""
        return [line.message for line in self.logs if line.level >= level]

    def raise_for_error(self) -> Collection:
        """Raises what left `collect`, if anything did, for a test that wants its traceback; else returns the collection."""
        if self.exception is not None:
            raise self.exception
        return self


@dataclass
class Host:
    """What a test sets up: who the collector is, what it was granted, and what devices and sites answer.

    Its clocks move by a millisecond whenever one of them is read, so that tests give the same on each run.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the operator set."""
    program: str = "TEST"
    """The name of the program."""
    polling_interval: int = 300
    """Seconds between the starts of two collections."""
    collection_time: int = 1_700_000_000_000
    """When the collection begins, in Unix milliseconds."""
    state: dict[str, bytes] = field(default_factory=dict)
    """What an earlier collection left behind, and after one, what the next will find."""

    def __post_init__(self) -> None:
        self._devices: dict[str, FakeDevice] = {}
        self._sites: dict[str, Response | Callable[[Request], HttpError]] = {}

    def modbus(self, name: str) -> FakeDevice:
        """Grants a device, and gives it back to be told what it answers."""
        return self._devices.setdefault(name, FakeDevice(name))

    def http(
        self,
        url: str,
        body: bytes | str = b"",
        *,
        json: Any = None,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        error: Callable[[Request], HttpError] | None = None,
    ) -> Host:
        """Grants the origin of a URL, and says what is found under that URL: a body, JSON, or an error such as
        `http.TimeoutError`. Any other URL of the origin is answered with status 404."""
        if _origin(url) is None:
            raise ValueError(f"{url!r} is not an absolute URL with scheme http or https")
        fields = [(name.lower(), value) for name, value in (headers or {}).items()]
        if json is not None:
            body = _json.dumps(json)
            fields.append(("content-type", "application/json"))
        content = body.encode() if isinstance(body, str) else body
        self._sites[url] = error or Response(status, content, fields)
        return self

    def collect(self, collect: Callable[[], None]) -> Collection:
        """Makes one collection. The host may be used for another one, which finds the `state` that this one left."""
        under_way = _Run(self)
        error, exception = run(under_way, collect)
        collection = under_way.collection
        collection.error, collection.exception = error, exception
        if error is None:
            self.state = under_way.state
        return collection


class _Run:
    """One collection under way: the `Host` that the package calls."""

    def __init__(self, host: Host) -> None:
        self.collection = Collection()
        self.state = dict(host.state)
        self._host = host
        self._elapsed = 0
        self._rules = Rules(host.program)

    def program(self) -> str:
        return self._host.program

    def polling_interval(self) -> int:
        return self._host.polling_interval

    def collection_time(self) -> int:
        return self._host.collection_time

    def settings(self) -> str:
        return _json.dumps(self._host.settings)

    def now(self) -> int:
        return self._host.collection_time + self._tick()

    def monotonic(self) -> int:
        return self._tick() * 1_000_000

    def _tick(self) -> int:
        self._elapsed += 1
        return self._elapsed

    def log(self, level: int, message: str) -> None:
        self.collection.logs.append(LogLine(level, message))

    def emit(self, target: str, datapoints: Sequence[Datapoint]) -> list[Rejection]:
        self._rules.check_target(target, len(datapoints))
        rejections = []
        for index, point in enumerate(datapoints):
            try:
                taken = self._rules.take(self._host.collection_time + self._elapsed, target, point)
                self.collection.datapoints.append(Emitted(target, taken))
            except Refused as refused:
                rejections.append(rejection(index, point, refused))
        self.collection.rejections += rejections
        return rejections

    def devices(self) -> list[modbus.Granted]:
        return [device.granted() for device in self._host._devices.values()]

    def read(self, span: modbus.Span) -> modbus.Words:
        self.collection.reads.append(span)
        device = self._host._devices.get(span.device)
        if device is None:
            raise modbus.UnknownDeviceError(span)
        return device.read(span)

    def read_many(self, spans: Sequence[modbus.Span]) -> list[modbus.Words | modbus.ModbusError]:
        results: list[modbus.Words | modbus.ModbusError] = []
        for span in spans:
            try:
                results.append(self.read(span))
            except modbus.ModbusError as error:
                results.append(error)
        return results

    def fetch(self, request: Request) -> Response:
        self.collection.requests.append(request)
        origin = _origin(request.url)
        if origin is None:
            raise InvalidError(request, "the URL is not absolute, or not of scheme http or https")
        if all(_origin(url) != origin for url in self._host._sites):
            raise DeniedError(request, f"denied: the origin {origin} is not granted")
        answer = self._host._sites.get(request.url, Response(404, b"not found"))
        if not isinstance(answer, Response):
            raise answer(request)
        return Response(answer.status, answer.body, answer.headers, request)

    def fetch_all(self, requests: Sequence[Request]) -> list[Response | HttpError]:
        results: list[Response | HttpError] = []
        for request in requests:
            try:
                results.append(self.fetch(request))
            except HttpError as error:
                results.append(error)
        return results

    def state_get(self, key: str) -> bytes | None:
        return self.state.get(key)

    def state_set(self, key: str, value: bytes) -> None:
        if not 1 <= len(key.encode()) <= 255:
            raise state.StateError(key, "invalid", f"a key is 1 to 255 bytes, not {len(key.encode())}")
        after = {**self.state, key: value}
        size = sum(len(name.encode()) + len(kept) for name, kept in after.items())
        if size > MAX_STATE:
            reason = f"all keys and values together would be {size} bytes, and may be {MAX_STATE}"
            raise state.StateError(key, "quota", reason)
        self.state = after

    def state_remove(self, key: str) -> None:
        self.state.pop(key, None)

    def state_keys(self) -> list[str]:
        return sorted(self.state, key=str.encode)


def _origin(url: str) -> str | None:
    """Scheme, host and port of an absolute URL."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        return None
    host = parts.netloc.lower().rpartition("@")[2].removesuffix(f":{port}")
    sound = parts.hostname and "@" not in parts.netloc and not any(map(str.isspace, parts.netloc))
    return f"{parts.scheme}://{host}:{port}" if sound else None
