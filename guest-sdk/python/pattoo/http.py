"""Fetching from web origins that were granted.

An *origin* is scheme, host and port. One that was not granted is denied before its name is looked up. Redirects are followed,
each hop checked against the grant. Secrets that the operator attaches (an API token, say) are added by the runtime and
never shown to the collector.

    # One page. Every status is a response, 404 too, until `raise_for_status` makes an exception of it.
    quotes = http.get("http://site-a.example/quotes.json").raise_for_status().json()

    # With more to say about the request.
    page = http.get("http://site-a.example/status", headers={"accept": "text/plain"}, timeout=2)

    # Many at once; a dead site costs only its own result.
    for response in http.fetch_all(f"http://site-b.example/{name}" for name in ("ABC", "DEF")):
        if isinstance(response, http.HttpError):
            log.warning("%s", response)
"""

from __future__ import annotations

import json as _json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from . import _host
from ._fit import Misfit, fit
from .errors import Error

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """What to fetch."""

    url: str
    """An absolute URL with scheme `http` or `https`. Example: `https://site-a.example.org/v1/quotes?symbol=ABC`."""
    method: str = "GET"
    """In capitals. Only `GET` and `HEAD` are granted unless the operator set it otherwise."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Those that belong to the connection (`host`, `content-length` and their kind) and those that the operator attached are
    refused."""
    body: bytes | None = None
    """What to send, at most 1 MiB unless set."""
    timeout: float | None = None
    """Seconds for the whole fetch, redirects included. The runtime's own limit (10 seconds unless set) holds when it is
    shorter."""

    def timeout_millis(self) -> int | None:
        """The timeout as the contract has it, rounded up, so that a part of a millisecond is not no time at all."""
        return None if self.timeout is None else max(0, min(math.ceil(self.timeout * 1000), 2**32 - 1))


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Every status is a response, 404 and 500 too."""

    status: int
    """The status code, such as 200."""
    body: bytes = b""
    """The whole body, already decompressed unless the request set `accept-encoding` itself."""
    headers: list[tuple[str, str]] = field(default_factory=list)
    """In the order in which they came, names in lower case."""
    request: Request = Request("")
    """What it is the answer to."""

    @property
    def text(self) -> str:
        """The body as text. What is not UTF-8 in it becomes `U+FFFD`."""
        return self.body.decode(errors="replace")

    @overload
    def json(self) -> Any: ...
    @overload
    def json(self, kind: type[T]) -> T: ...
    def json(self, kind: Any = None) -> Any:
        """The body, read as JSON, without a byte order mark before it; given a dataclass, an instance of it, as `pattoo.settings` makes one. Raises `JsonError` if it
        is no JSON, or not of that kind."""
        try:
            value = _json.loads(self.body)
            return value if kind is None else fit(value, kind, strict=False)
        except ValueError as error:
            raise JsonError(self.request, f"the response is not JSON: {error}") from None
        except Misfit as misfit:
            what = f"`{misfit.at}` in the response" if misfit.at else "the response"
            raise JsonError(self.request, f"{what} {misfit.text}") from None

    def header(self, name: str) -> str | None:
        """The value of a header, in any case of letters; the first one if there are several."""
        return next((value for other, value in self.headers if other == name.lower()), None)

    @property
    def ok(self) -> bool:
        """Whether the status is one of success: 200 to 299."""
        return 200 <= self.status < 300

    def raise_for_status(self) -> Response:
        """Raises `StatusError` unless the status is one of success; else returns the response itself."""
        if not self.ok:
            raise StatusError(self.request, self.status)
        return self


class HttpError(Error):
    """There is no response, or not the one that was wanted. Each reason is a class of its own; this one stands for what a later
    version may have to say."""

    def __init__(self, request: Request, reason: str) -> None:
        super().__init__(f"{request.method} {request.url}: {reason}")
        self.request, self.reason = request, reason


class DeniedError(HttpError):
    """The origin, method or path is not granted, or the name leads to an address that a grant of this kind does not reach. The
    text names what would have to be granted."""


class InvalidError(HttpError):
    """The request makes no sense: not an absolute URL, a header that is not allowed, a body that is too large."""


class TimeoutError(HttpError):
    """It timed out."""

    def __init__(self, request: Request, reason: str = "the request timed out") -> None:
        super().__init__(request, reason)


class ConnectionError(HttpError):
    """The name was not found, the connection was refused or broken, or what came back is not HTTP."""


class TlsError(HttpError):
    """The connection is not secure: the certificate is not trusted, has expired or belongs to another host."""


class TooLargeError(HttpError):
    """The response is larger than `limit` bytes."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(request, f"the response is larger than {limit} bytes")
        self.limit = limit


class RedirectsError(HttpError):
    """There were more redirects than `limit`."""

    def __init__(self, request: Request, limit: int) -> None:
        super().__init__(request, f"there were more than {limit} redirects")
        self.limit = limit


class QuotaError(HttpError):
    """The collection has fetched all that its operator allows."""


class StatusError(HttpError):
    """There is a response, and `raise_for_status` found this `status`."""

    def __init__(self, request: Request, status: int) -> None:
        super().__init__(request, f"the site answered {status}")
        self.status = status


class JsonError(HttpError):
    """There is a response, and `json` could not read it."""


def fetch(request: Request | str) -> Response:
    """Fetches one request, or a URL with `GET`. Raises an `HttpError` if there is no response."""
    return _host.current().fetch(_request(request))


def get(url: str, *, headers: Mapping[str, str] | None = None, timeout: float | None = None) -> Response:
    """Fetches a page with `GET`."""
    return fetch(Request(url, headers=headers or {}, timeout=timeout))


def post(
    url: str,
    body: bytes | str | None = None,
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Response:
    """Posts a body, or a value as JSON with the `content-type` that belongs to it. The operator has to grant `POST` expressly."""
    fields = dict(headers or {})
    if json is not None:
        body = _json.dumps(json)
        fields.setdefault("content-type", "application/json")
    return fetch(Request(url, "POST", fields, body.encode() if isinstance(body, str) else body, timeout))


def fetch_all(requests: Iterable[Request | str]) -> list[Response | HttpError]:
    """Fetches many at once. There is one result for each request, in the same order: a response, or the error, which is
    returned and not raised. A dead site costs its own results only."""
    return _host.current().fetch_all([_request(request) for request in requests])


def _request(request: Request | str) -> Request:
    return Request(request) if isinstance(request, str) else request
