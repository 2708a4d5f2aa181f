"""A host for unit tests: what the runtime would be, under the control of the test, on the machine that runs it.

    from pattoo.testing import Host
    from collector import collect

    def test_the_level_is_emitted():
        host = Host(settings={"device": "plc1"})
        host.modbus("plc1").unit(7).holding_registers(0, [17, 42])
        host.http("http://site-a.example/abc.json", json={"price": 1.5})

        collection = host.collect(collect)

        assert collection.error is None
        assert collection.values() == [("plc1", "level", 42)]

Nothing is granted that the test did not set up, just like in the field. The host follows the rules of the contract as far as a
collector's logic can depend on them: which datapoints are refused, what is denied, what a device answers. It knows none of the
limits on time and sizes except the number of datapoints, no redirects, and neither methods nor paths of a grant. Only the
runtime knows those, and `pattoo-wasm run` shows them.
"""

from ._device import FakeDevice
from ._host import Collection, Emitted, Host, LogLine

__all__ = ["Collection", "Emitted", "FakeDevice", "Host", "LogLine"]
