"""Reads spans with the client of pymodbus.

Usage: modbus_read.py PLACE SPANS [TIMEOUT]

PLACE is a port of 127.0.0.1 (Modbus TCP), `rtu+tcp:PORT`, or the path of a serial line (19200 baud, no parity). SPANS is JSON:
[[unit, table, address, count], ...], tables are coils, discrete, holding, input. TIMEOUT is in seconds; with one, nothing is
asked twice. Prints a JSON list with what each span holds: its values, {"exception": code}, or {"error": what pymodbus says}.
"""

import json
import sys

from pymodbus import FramerType
from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.exceptions import ModbusException


def client_of(place, time_limit):
    if place.startswith("/"):
        return ModbusSerialClient(place, baudrate=19200, parity="N", **time_limit)
    framer = FramerType.RTU if place.startswith("rtu+tcp:") else FramerType.SOCKET
    return ModbusTcpClient("127.0.0.1", port=int(place.removeprefix("rtu+tcp:")), framer=framer, **time_limit)


def main():
    place, spans = sys.argv[1], json.loads(sys.argv[2])
    client = client_of(place, {"timeout": float(sys.argv[3]), "retries": 0} if len(sys.argv) > 3 else {})
    assert client.connect(), f"no connection to {place}"
    read = {
        "coils": client.read_coils,
        "discrete": client.read_discrete_inputs,
        "holding": client.read_holding_registers,
        "input": client.read_input_registers,
    }
    results = []
    for unit, table, address, count in spans:
        try:
            reply = read[table](address, count=count, device_id=unit)
        except ModbusException as error:
            results.append({"error": str(error)})
            continue
        if reply.isError():
            results.append({"exception": reply.exception_code})
        elif table in ("coils", "discrete"):
            results.append(reply.bits[:count])
        else:
            results.append(reply.registers)
    client.close()
    print(json.dumps(results))


main()
