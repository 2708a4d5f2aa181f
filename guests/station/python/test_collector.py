"""`python3 -m unittest` runs this, and so does pytest: no WebAssembly is involved."""

import unittest

from pattoo import Counter32, Counter64, Scaled, http, modbus
from pattoo.testing import Host

from collector import collect

URL = "http://site-a.example/weather.json"
SETTINGS = {
    "device": "plc1",
    "unit": 7,
    "pump": {"table": "holding-registers", "address": 10},
    "meter": {"table": "input-registers", "address": 100},
    "url": URL,
    "site": "SITE_A",
    "note": "by the river",
}
PUMP = [1234, 0xFFF6, 0x0001, 0x0002]
METER = [0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0]
WEATHER = {"temperature": -3, "humidity": 81, "rain_total": 5000, "name": "Old Mill"}


def station(**settings):
    host = Host(settings={**SETTINGS, **settings})
    host.modbus("plc1").unit(7).holding_registers(10, PUMP).input_registers(100, METER)
    return host.http(URL, json=WEATHER)


class Station(unittest.TestCase):
    def test_a_whole_collection_is_eleven_datapoints(self):
        host = station()
        collection = host.collect(collect).raise_for_error()
        wanted = [
            ("plc1", "level", 1234),
            ("plc1", "temperature", Scaled(-1.0)),
            ("plc1", "revolutions", Counter32(65538)),
            ("plc1", "power", 123.45600128173828),
            ("plc1", "energy", Counter64(65536)),
            ("plc1", "serial", "PMP-7"),
            ("SITE_A", "outdoor_temperature", -3.0),
            ("SITE_A", "humidity", 81),
            ("SITE_A", "rain_total", Counter64(5000)),
            ("SITE_A", "station_name", "Old Mill"),
            ("collector", "collections", 1),
        ]
        self.assertEqual(collection.values(), wanted)
        self.assertEqual(collection.messages(), ["11 datapoints"])
        self.assertIsInstance(collection.value("SITE_A", "outdoor_temperature"), float)
        self.assertEqual(host.collect(collect).value("collector", "collections"), 2)

    def test_a_part_that_fails_costs_only_itself(self):
        pump = {"table": "holding-registers", "address": 12}
        collection = station(pump=pump, url=URL + "x").collect(collect)
        self.assertEqual(collection.value("plc1", "exception"), 2)
        self.assertEqual(collection.value("SITE_A", "status"), 404)
        lines = ["SITE_A: status 404", "pump: exception 2 (illegal data address)", "6 datapoints"]
        self.assertEqual(collection.messages(), lines)

        host = station().http(URL, error=http.TimeoutError)
        host.modbus("plc1").fail(modbus.TimeoutError)
        self.assertEqual(host.collect(collect).values(), [("collector", "collections", 1)])

        for document in ("no JSON", "[]", '{"temperature": 1, "humidity": 1.5, "rain_total": 1, "name": "x"}'):
            collection = station().http(URL, document).collect(collect).raise_for_error()
            self.assertEqual(len(collection.datapoints), 7, document)

    def test_settings_that_lack_something_are_named_and_nothing_is_read(self):
        for key in SETTINGS.keys() - {"note"}:
            host = station()
            host.settings = {name: value for name, value in SETTINGS.items() if name != key}
            collection = host.collect(collect)
            self.assertIn(key, collection.error)
            self.assertEqual(collection.reads + collection.requests, [])
        for change, word in (({"pump": {"table": "coils", "address": 0}}, "table"), ({"unit": 256}, "unit")):
            self.assertIn(word, station(**change).collect(collect).error)
        meter = {"table": "input-registers", "address": 65536}
        self.assertIn("address", station(meter=meter).collect(collect).error)


if __name__ == "__main__":
    unittest.main()
