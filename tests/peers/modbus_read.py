"""Reads spans with the client of pymodbus.

Usage: modbus_read.py PORT SPANS

SPANS is JSON: [[unit, table, address, count], ...], tables are coils, discrete, holding, input. Prints a JSON list with
what each span holds: its values, or {"exception": code}.
"""

import json
import sys

from pymodbus.client import ModbusTcpClient


def main():
    port, spans = int(sys.argv[1]), json.loads(sys.argv[2])
    client = ModbusTcpClient("127.0.0.1", port=port)
    assert client.connect(), f"no connection to port {port}"
    read = {
        "coils": client.read_coils,
        "discrete": client.read_discrete_inputs,
        "holding": client.read_holding_registers,
        "input": client.read_input_registers,
    }
    results = []
    for unit, table, address, count in spans:
        reply = read[table](address, count=count, device_id=unit)
        if reply.isError():
            results.append({"exception": reply.exception_code})
        elif table in ("coils", "discrete"):
            results.append(reply.bits[:count])
        else:
            results.append(reply.registers)
    client.close()
    print(json.dumps(results))


main()
