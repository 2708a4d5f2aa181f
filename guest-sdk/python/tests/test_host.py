"""Collectors under the host for tests, which follows the rules of the runtime."""

import datetime
import enum
import logging
import unittest
from dataclasses import dataclass, field
from typing import Literal

import pattoo
from pattoo import Counter32, Counter64, Datapoint, Scaled, clock, http, log, modbus, state
from pattoo.testing import Host


class Datapoints(unittest.TestCase):
    def test_the_type_of_a_value_is_pattoos(self):
        values = [7, True, 1.5, "text", Scaled(23.5), Counter32(2**32 - 1), Counter64(2**64 - 1)]

        def collect():
            for place, value in enumerate(values):
                pattoo.emit("plc1", f"k{place}", value)

        collection = Host().collect(collect).raise_for_error()
        self.assertEqual([value for *_, value in collection.values()], values)

    def test_what_is_refused_costs_no_other_and_has_its_place(self):
        far = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
        points = [
            Datapoint("A ", 1),
            Datapoint("a", 2),
            Datapoint("big", 2**63),
            Datapoint("small", Counter32(-1)),
            Datapoint("pattoo_key", 1),
            Datapoint("nan", float("nan")),
            Datapoint("scaled", Scaled(1e30)),
            Datapoint("late", 1, time=far),
            Datapoint("early", 1, time=1),
            Datapoint("meta", 1, {"": 1}),
            Datapoint("b", 1, {"Unit ": 7}, {"unit": "other", "note": " x "}, time=far.replace(year=2020)),
        ]
        found = []
        collection = Host().collect(lambda: found.extend(pattoo.emit_all("plc1", points))).raise_for_error()
        kinds = [(rejection.index, rejection.kind) for rejection in found]
        value, time = "value", "timestamp"
        self.assertEqual(
            kinds,
            [(1, "duplicate"), (2, value), (3, value), (4, "key"), (5, value), (6, value), (7, time), (8, time), (9, "metadata")],
        )
        self.assertEqual(str(found[0]), "datapoint 'a' was refused: " + found[0].reason)
        taken = [emitted.datapoint for emitted in collection.datapoints]
        self.assertEqual(taken[0], Datapoint("a", 1))
        self.assertEqual(taken[1], Datapoint("b", 1, {"unit": "7"}, {"note": "x"}, 1577836800000))

    def test_one_that_is_refused_alone_is_an_exception(self):
        collection = Host().collect(lambda: pattoo.emit("plc1", "pattoo", 1))
        self.assertIsInstance(collection.exception, pattoo.RejectedError)
        self.assertIn("target 'plc1': datapoint 'pattoo' was refused", collection.error)
        self.assertIn("1 to 512 bytes", Host().collect(lambda: pattoo.emit("", "a", 1)).error)

    def test_a_value_of_no_type_is_the_authors_mistake(self):
        for value in (None, [1], b"x", Counter32(1.5), Scaled("1")):
            self.assertIsInstance(Host().collect(lambda: pattoo.emit("x", "a", value)).exception, TypeError, value)

    def test_a_time_without_a_zone_is_refused(self):
        collection = Host().collect(lambda: pattoo.emit("x", "a", 1, time=datetime.datetime(2020, 1, 1)))
        self.assertIn("has no time zone", collection.error)


class Devices(unittest.TestCase):
    def test_a_device_answers_what_it_was_told(self):
        host = Host()
        plc = host.modbus("plc1")
        plc.unit(1).holding_registers(0, [1, 2, 3]).coils(16, [True, False])
        plc.unit(7).input_registers(0, [9] * 10).exception("input-registers", 5, 4)
        plc.unit(8).fail(modbus.TimeoutError)
        found = []

        def collect():
            device = modbus.Device("plc1")
            found.append(device.holding_registers(1, 2))
            found.append(device.coils(16, 2))
            spans = [
                modbus.Span("plc1", "holding-registers", 2, 2),
                modbus.Span("plc1", "input-registers", 0, 5, unit=7),
                modbus.Span("plc1", "input-registers", 0, 6, unit=7),
                modbus.Span("plc1", "coils", 0, 1, unit=8),
                modbus.Span("plc1", "coils", 0, 1, unit=9),
                modbus.Span("plc2", "coils", 0, 1),
                modbus.Span("plc1", "coils", 0, 0),
                modbus.Span("plc1", "coils", -1, 1),
                modbus.Span("plc1", "coils", 0, 1, unit=256),
            ]
            found.extend(modbus.read_many(spans))
            self.assertEqual(modbus.devices(), [modbus.Granted("plc1", [1, 7, 8])])

        host.collect(collect).raise_for_error()
        self.assertEqual(found[:2] + found[3:4], [[2, 3], [True, False], [9] * 5])
        self.assertEqual((found[2].code, found[2].name, found[4].code), (2, "illegal data address", 4))
        self.assertEqual(str(found[4]), "plc1, unit 7, 6 input registers from address 0: the device answered exception 4 (server device failure)")
        kinds = [modbus.TimeoutError, modbus.DeniedError, modbus.UnknownDeviceError] + [modbus.InvalidError] * 3
        self.assertEqual([type(error) for error in found[5:]], kinds)


class Sites(unittest.TestCase):
    def test_a_site_answers_what_it_was_told(self):
        host = Host()
        host.http("http://Site-A.example/abc.json", json=[1.5]).http("http://site-b.example/x", error=http.TimeoutError)
        found = []

        def collect():
            found.append(http.get("http://Site-A.example/abc.json", headers={"accept": "x"}).raise_for_status().json())
            urls = ["http://site-a.example:80/else", "http://site-b.example/x", "https://site-a.example/abc.json", "site-a", "http:///"]
            found.extend(http.fetch_all(urls))

        collection = host.collect(collect).raise_for_error()
        self.assertEqual(found[0], [1.5])
        self.assertEqual(found[1].status, 404)
        self.assertEqual([type(error) for error in found[2:]], [http.TimeoutError, http.DeniedError] + [http.InvalidError] * 2)
        self.assertEqual(collection.requests[0].headers, {"accept": "x"})

    def test_what_is_not_wanted_is_an_exception_that_names_the_request(self):
        host = Host().http("http://a.example/x", "no JSON", status=500)
        error = host.collect(lambda: http.get("http://a.example/x").raise_for_status()).error
        self.assertEqual(error, "GET http://a.example/x: the site answered 500")
        self.assertIn("the response is not JSON", host.collect(lambda: http.post("http://a.example/x").json()).error)

    def test_json_becomes_a_dataclass_or_an_exception(self):
        host = Host().http("http://a.example/x", json={"name": "a", "length": 1}).http("http://a.example/y", json=[{}])
        found = []
        host.collect(lambda: found.append(http.get("http://a.example/x").json(Line))).raise_for_error()
        self.assertEqual(found, [Line("a", 1.0)])
        for kind, text in ((Line, "the response is [{}], and must be an object"), (list[Line], "`[0].name` in the response is missing")):
            error = host.collect(lambda: http.get("http://a.example/y").json(kind)).error
            self.assertEqual(error, f"GET http://a.example/y: {text}")

    def test_a_byte_order_mark_before_json_is_skipped(self):
        host = Host().http("http://a.example/x", "\ufeff[1.5]")
        found = []
        host.collect(lambda: found.append(http.get("http://a.example/x").json())).raise_for_error()
        self.assertEqual(found, [[1.5]])

    def test_json_is_posted_as_such(self):
        host = Host().http("http://a.example/x", "")
        [request] = host.collect(lambda: http.post("http://a.example/x", json={"a": 1}, timeout=0.0001)).requests
        self.assertEqual((request.method, request.body), ("POST", b'{"a": 1}'))
        self.assertEqual((request.headers, request.timeout_millis()), ({"content-type": "application/json"}, 1))


class Mode(enum.Enum):
    FAST = "fast"


@dataclass
class Line:
    name: str
    length: float


@dataclass
class Wanted:
    unit: int
    order: Literal["ABCD", "CDAB"]
    lines: list[Line]
    mode: Mode = Mode.FAST
    note: str | None = None
    more: dict[str, int] = field(default_factory=dict)


class Settings(unittest.TestCase):
    GOOD = {"unit": 7, "order": "CDAB", "lines": [{"name": "a", "length": 1}]}

    def error(self, settings, **options):
        return Host(settings=settings).collect(lambda: pattoo.settings(Wanted, **options)).error

    def test_a_dataclass_is_made_of_what_fits(self):
        def collect():
            self.assertEqual(pattoo.settings(Wanted), Wanted(7, "CDAB", [Line("a", 1.0)]))

        Host(settings={**self.GOOD, "mode": "fast", "extra": 1}).collect(collect).raise_for_error()

    def test_what_does_not_fit_is_named(self):
        for change, text in [
            ({"unit": "7"}, "the setting `unit` is '7', and must be a whole number"),
            ({"unit": True}, "the setting `unit` is True, and must be a whole number"),
            ({"order": "X"}, "the setting `order` is 'X', and must be one of `ABCD`, `CDAB`"),
            ({"lines": [{"name": "a"}]}, "the setting `lines[0].length` is missing"),
            ({"lines": {}}, "the setting `lines` is {}, and must be a list"),
            ({"mode": "slow"}, "the setting `mode` is 'slow', and must be one of `fast`"),
            ({"more": {"x": 1.5}}, "the setting `more.x` is 1.5, and must be a whole number"),
            ({"note": 1}, "the setting `note` is 1, and must be text"),
        ]:
            self.assertEqual(self.error({**self.GOOD, **change}), text)
        self.assertEqual(self.error({}), "the setting `unit` is missing")
        strict = self.error({**self.GOOD, "nite": ""}, strict=True)
        self.assertEqual(strict, "the setting `nite` is none of unit, order, lines, mode, note, more")

    def test_a_missing_key_of_the_dictionary_is_named(self):
        self.assertEqual(Host().collect(lambda: pattoo.settings()["url"]).error, "the setting `url` is missing")


class Collections(unittest.TestCase):
    def test_state_is_kept_only_after_a_good_end(self):
        def collect():
            state.set("n", str(int(state.get("n") or 0) + 1))
            state.set("gone", b"x")
            state.remove("gone")
            self.assertEqual(state.keys(), ["n"])
            if state.get("n") == b"3":
                raise pattoo.Error("three")

        host = Host()
        errors = [host.collect(collect).error for _ in range(4)]
        self.assertEqual((errors, host.state), ([None, None, "three", "three"], {"n": b"2"}))
        for key, value, kind in (("", b"", "invalid"), ("k" * 256, b"", "invalid"), ("k", bytes(1 << 20), "quota")):
            self.assertEqual(Host().collect(lambda: state.set(key, value)).exception.kind, kind)

    def test_a_foreign_exception_tells_what_it_is_and_where_it_arose(self):
        def collect():
            int("x")

        error = Host().collect(collect).error
        self.assertRegex(error, r"^ValueError: invalid literal for int\(\) with base 10: 'x' \(test_host.py, line \d+, in collect\)$")

    def test_an_exit_is_an_end_as_its_status_says(self):
        self.assertEqual([Host().collect(lambda: exit(code)).error for code in (0, None)], [None, None])
        self.assertEqual(Host().collect(lambda: exit(3)).error, "the collector exited with 3")

    def test_lines_of_logging_arrive_with_their_level(self):
        def collect():
            log.info("%s of %d", "one", 2)
            log.info("100%")
            logging.getLogger("library").warning("from a library")

        before = list(logging.getLogger().handlers)
        collection = Host().collect(collect)
        self.assertEqual(collection.messages(), ["one of 2", "100%", "from a library"])
        self.assertEqual([line.level for line in collection.logs], [20, 20, 30])
        self.assertEqual(logging.getLogger().handlers, before)

    def test_who_and_when_is_what_the_test_says(self):
        def collect():
            self.assertEqual((pattoo.program(), pattoo.polling_interval(), pattoo.collection_time()), ("P", 60, 5000))
            self.assertLess(clock.monotonic(), clock.monotonic())
            self.assertGreater(clock.now(), 5000)

        Host(program="P", polling_interval=60, collection_time=5000).collect(collect).raise_for_error()

    def test_outside_of_a_collection_there_is_no_host(self):
        with self.assertRaisesRegex(RuntimeError, "outside of `pattoo.testing.Host.collect`"):
            pattoo.settings()


if __name__ == "__main__":
    unittest.main()
