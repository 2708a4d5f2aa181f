"""The runtime, as seen from inside the sandbox: each function calls the one of the same name in the contract, and turns its plain
data into the types of this package. Nothing is decided here.

`wit_world` is made by componentize-py, and exists only in a component.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from componentize_py_types import Err
from wit_world.imports import agent, clock, datapoints, http, log, modbus, state, types

from . import datapoints as ours
from . import http as web
from . import modbus as field
from .log import TRACE
from .state import StateError

_LEVELS = [
    (logging.ERROR, log.Level.ERROR),
    (logging.WARNING, log.Level.WARN),
    (logging.INFO, log.Level.INFO),
    (logging.DEBUG, log.Level.DEBUG),
    (TRACE, log.Level.TRACE),
]


class Runtime:
    """The `Host` of a component."""

    program = staticmethod(agent.program)
    polling_interval = staticmethod(agent.polling_interval)
    collection_time = staticmethod(agent.collection_time)
    settings = staticmethod(agent.settings)
    now = staticmethod(clock.now)
    monotonic = staticmethod(clock.monotonic)
    state_remove = staticmethod(state.remove)
    state_keys = staticmethod(state.keys)

    def log(self, level: int, message: str) -> None:
        log.log(next((ours for least, ours in _LEVELS if level >= least), log.Level.TRACE), _sound(message))

    def emit(self, target: str, points: Sequence[ours.Datapoint]) -> list[ours.Rejection]:
        try:
            rejections = datapoints.emit(_sound(target), [_datapoint(point) for point in points])
        except Err as error:
            raise ours.EmitError(target, _kind(error.value), error.value.value) from None
        return [_rejection(rejection, points) for rejection in rejections]

    def devices(self) -> list[field.Granted]:
        return [field.Granted(device.name, list(device.units)) for device in modbus.devices()]

    def read(self, span: field.Span) -> field.Words:
        try:
            words: field.Words = _READS[span.table](_sound(span.device), span.unit, span.address, span.count)
            return words
        except Err as error:
            raise _modbus_error(span, error.value) from None

    def read_many(self, spans: Sequence[field.Span]) -> list[field.Words | field.ModbusError]:
        wanted = [
            modbus.Span(_sound(span.device), span.unit, _TABLES[span.table], span.address, span.count) for span in spans
        ]
        return [
            _modbus_error(span, result.value) if isinstance(result, Err) else result.value.value
            for span, result in zip(spans, modbus.read_many(wanted))
        ]

    def fetch(self, request: web.Request) -> web.Response:
        try:
            return _response(request, http.fetch(_request(request)))
        except Err as error:
            raise _http_error(request, error.value) from None

    def fetch_all(self, requests: Sequence[web.Request]) -> list[web.Response | web.HttpError]:
        results = http.fetch_all([_request(request) for request in requests])
        return [
            _http_error(request, result.value) if isinstance(result, Err) else _response(request, result.value)
            for request, result in zip(requests, results)
        ]

    def state_get(self, key: str) -> bytes | None:
        value: bytes | None = state.get(_sound(key))
        return value

    def state_set(self, key: str, value: bytes) -> None:
        try:
            state.set(_sound(key), value)
        except Err as error:
            raise StateError(key, _kind(error.value), error.value.value) from None


def _sound(text: str) -> str:
    """A text without lone surrogates, which no UTF-8 can hold."""
    return text.encode(errors="replace").decode()


def _kind(case: object) -> str:
    """The name of a variant's case: `quota` for `Error_Quota`."""
    return type(case).__name__.rpartition("_")[2].lower()


def _datapoint(point: ours.Datapoint) -> types.Datapoint:
    metadata = [
        types.Metadatum(_sound(key), _sound(str(value)), identifying)
        for mapping, identifying in ((point.metadata, True), (point.notes, False))
        for key, value in mapping.items()
    ]
    return types.Datapoint(_sound(point.key), _value(point.value), point.unix_millis(), metadata)


def _value(value: ours.Value) -> Any:
    match value:
        case ours.Scaled(number):
            return types.Value_Scaled(float(number))
        case ours.Counter32(number):
            return types.Value_Counter32(number)
        case ours.Counter64(number):
            return types.Value_Counter64(number)
        case float():
            return types.Value_Float(value)
        case str():
            return types.Value_Text(_sound(value))
        case _:
            return types.Value_Integer(int(value))


def _rejection(rejection: datapoints.Rejection, points: Sequence[ours.Datapoint]) -> ours.Rejection:
    kind = _kind(rejection.reason)
    reason = getattr(
        rejection.reason, "value", "another one with the same key, type and identifying metadata was emitted before"
    )
    return ours.Rejection(rejection.index, points[rejection.index].key, kind, reason)


_READS = {
    "coils": modbus.read_coils,
    "discrete-inputs": modbus.read_discrete_inputs,
    "holding-registers": modbus.read_holding_registers,
    "input-registers": modbus.read_input_registers,
}
_TABLES = {
    "coils": modbus.Table.COILS,
    "discrete-inputs": modbus.Table.DISCRETE_INPUTS,
    "holding-registers": modbus.Table.HOLDING_REGISTERS,
    "input-registers": modbus.Table.INPUT_REGISTERS,
}


def _modbus_error(span: field.Span, error: Any) -> field.ModbusError:
    match error:
        case modbus.Error_Denied(text):
            return field.DeniedError(span, f"denied: {text}")
        case modbus.Error_UnknownDevice():
            return field.UnknownDeviceError(span)
        case modbus.Error_Exception(code):
            return field.DeviceException(span, code)
        case modbus.Error_Timeout():
            return field.TimeoutError(span)
        case modbus.Error_Connection(text):
            return field.ConnectionError(span, text)
        case modbus.Error_Invalid(text):
            return field.InvalidError(span, text)
        case modbus.Error_Quota(text):
            return field.QuotaError(span, text)
        case other:
            return field.ModbusError(span, other.value)


def _request(request: web.Request) -> http.Request:
    headers = [http.Header(_sound(name), _sound(value)) for name, value in request.headers.items()]
    return http.Request(_sound(request.method), _sound(request.url), headers, request.body, request.timeout_millis())


def _response(request: web.Request, response: http.Response) -> web.Response:
    headers = [(header.name, header.value) for header in response.headers]
    return web.Response(response.status, bytes(response.body), headers, request)


def _http_error(request: web.Request, error: Any) -> web.HttpError:
    match error:
        case http.Error_Denied(text):
            return web.DeniedError(request, f"denied: {text}")
        case http.Error_Invalid(text):
            return web.InvalidError(request, text)
        case http.Error_Timeout():
            return web.TimeoutError(request)
        case http.Error_Connection(text):
            return web.ConnectionError(request, text)
        case http.Error_Tls(text):
            return web.TlsError(request, text)
        case http.Error_TooLarge(limit):
            return web.TooLargeError(request, limit)
        case http.Error_Redirects(limit):
            return web.RedirectsError(request, limit)
        case http.Error_Quota(text):
            return web.QuotaError(request, text)
        case other:
            return web.HttpError(request, other.value)
