"""A Modbus device out of pymodbus.

Usage: modbus_device.py [TABLES]        (TABLES on standard input if it is not an argument)
       modbus_device.py TABLES rtu+tcp  (frames of a serial line through TCP)
       modbus_device.py TABLES DEVICE   (on a serial line, 19200 baud, no parity)

TABLES is JSON: unit -> table -> first address -> value or list of values, such as
{"1": {"holding": {"0": 732, "1": [1, 2, 3]}, "coils": {"0": [true, false]}}}; tables are coils, discrete, holding, input.
An address without a value is answered with exception 2.

Listens on a free port of 127.0.0.1 and says so: {"port": N}; on a serial line N is 0. Then each request is a line of JSON as it comes in:
[unit, function, address, count].
"""

import asyncio
import json
import sys

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simcore import SimCore

TABLES = ("coils", "discrete", "holding", "input")
TABLE_OF_FUNCTION = {1: "coils", 2: "discrete", 3: "holding", 4: "input"}


def say(what):
    print(json.dumps(what), flush=True)


def values_of(cell):
    return cell if isinstance(cell, list) else [cell]


def simdata(table, cells):
    datatype = DataType.BITS if table in ("coils", "discrete") else DataType.REGISTERS
    if not cells:
        # pymodbus wants a value in each table; Checked keeps it out of reach.
        cells = {65535: False if datatype == DataType.BITS else 0}
    return [
        SimData(int(address), values=values_of(cell), datatype=datatype)
        for address, cell in cells.items()
    ]


class Checked(SimCore):
    """The devices of pymodbus, which fill their bits up to whole registers: here only what was given exists."""

    def __init__(self, units):
        super().__init__([
            SimDevice(int(unit), simdata=tuple(simdata(table, tables.get(table)) for table in TABLES))
            for unit, tables in units.items()
        ])
        self.known = {
            (int(unit), table, int(first) + offset)
            for unit, tables in units.items()
            for table, cells in tables.items()
            for first, cell in cells.items()
            for offset in range(len(values_of(cell)))
        }

    async def async_getValues(self, device_id, func_code, address, count=1):
        table = TABLE_OF_FUNCTION[func_code]
        if any((device_id, table, address + offset) not in self.known for offset in range(count)):
            return ExcCodes.ILLEGAL_ADDRESS
        return await super().async_getValues(device_id, func_code, address, count)


def trace(sending, pdu):
    if not sending:
        say([pdu.dev_id, pdu.function_code, pdu.address, pdu.count])
    return pdu


async def main():
    units = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
    devices = Checked(units)
    placeholder = SimDevice(1, simdata=[SimData(0, datatype=DataType.REGISTERS)])
    line = sys.argv[2] if len(sys.argv) > 2 else None
    if line and line != "rtu+tcp":
        server = ModbusSerialServer(placeholder, port=line, baudrate=19200, parity="N", trace_pdu=trace)
    else:
        framer = FramerType.RTU if line else FramerType.SOCKET
        server = ModbusTcpServer(placeholder, framer=framer, address=("127.0.0.1", 0), trace_pdu=trace)
    server.context = devices
    await server.serve_forever(background=True)
    say({"port": 0 if line and line != "rtu+tcp" else server.transport.sockets[0].getsockname()[1]})
    await server.serving


asyncio.run(main())
