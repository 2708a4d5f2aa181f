"""A Modbus device out of pymodbus.

Usage: modbus_device.py [TABLES]        (TABLES on standard input if it is not an argument)
       modbus_device.py TABLES rtu+tcp  (frames of a serial line through TCP; also ascii+tcp)
       modbus_device.py TABLES udp
       modbus_device.py TABLES tls:FOLDER  (with device.pem and device-key.pem; requires a certificate of ca.pem)
       modbus_device.py TABLES DEVICE   (on a serial line, 19200 baud, no parity; ascii:DEVICE for Modbus ASCII)

TABLES is JSON: unit -> table -> first address -> value or list of values, such as
{"1": {"holding": {"0": 732, "1": [1, 2, 3]}, "coils": {"0": [true, false]}}}; tables are coils, discrete, holding, input.
An address without a value is answered with exception 2.

Listens on a free port of 127.0.0.1 and says so: {"port": N}; on a serial line N is 0. Then each request is a line of JSON as it comes in:
[unit, function, address, count].
"""

import asyncio
import json
import ssl
import sys

from pymodbus.constants import ExcCodes
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
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


def port_of(transport):
    """The port of a listening socket, or of one for datagrams."""
    sockets = getattr(transport, "sockets", None) or [transport.get_extra_info("socket")]
    return sockets[0].getsockname()[1]


def trace(sending, pdu):
    if not sending:
        say([pdu.dev_id, pdu.function_code, pdu.address, pdu.count])
    return pdu


def server_of(transport, placeholder):
    """A server on this transport, and whether it has a port."""
    network = {"address": ("127.0.0.1", 0), "trace_pdu": trace}
    framers = {None: FramerType.SOCKET, "rtu+tcp": FramerType.RTU, "ascii+tcp": FramerType.ASCII}
    if transport in framers:
        return ModbusTcpServer(placeholder, framer=framers[transport], **network), True
    if transport == "udp":
        return ModbusUdpServer(placeholder, **network), True
    if transport.startswith("tls:"):
        folder = transport.removeprefix("tls:")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/device.pem", f"{folder}/device-key.pem")
        context.load_verify_locations(f"{folder}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        return ModbusTlsServer(placeholder, sslctx=context, **network), True
    framer = FramerType.ASCII if transport.startswith("ascii:") else FramerType.RTU
    line = {"port": transport.removeprefix("ascii:"), "baudrate": 19200, "parity": "N"}
    return ModbusSerialServer(placeholder, framer=framer, trace_pdu=trace, **line), False


async def main():
    units = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
    devices = Checked(units)
    placeholder = SimDevice(1, simdata=[SimData(0, datatype=DataType.REGISTERS)])
    server, has_port = server_of(sys.argv[2] if len(sys.argv) > 2 else None, placeholder)
    server.context = devices
    await server.serve_forever(background=True)
    say({"port": port_of(server.transport) if has_port else 0})
    await server.serving


asyncio.run(main())
