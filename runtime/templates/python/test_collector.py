import unittest

from collector import collect
from pattoo import modbus
from pattoo.testing import Host


class CollectorTest(unittest.TestCase):
    def test_collections_are_counted_from_one_to_the_next(self) -> None:
        host = Host()
        self.assertEqual(host.collect(collect).value("{{name}}", "collections"), 1)
        self.assertEqual(host.collect(collect).value("{{name}}", "collections"), 2)

    def test_the_temperature_of_the_device_is_emitted(self) -> None:
        host = Host(settings={"device": "plc1"})
        host.modbus("plc1").holding_registers(0, [0x41AC, 0x0000])
        self.assertEqual(host.collect(collect).raise_for_error().value("plc1", "temperature"), 21.5)

    def test_a_device_that_is_silent_is_an_error_for_the_operator(self) -> None:
        host = Host(settings={"device": "plc1"})
        host.modbus("plc1").fail(modbus.TimeoutError)
        self.assertIn("the device did not answer in time", str(host.collect(collect).error))


if __name__ == "__main__":
    unittest.main()
