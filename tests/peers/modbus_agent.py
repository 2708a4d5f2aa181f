"""What pattoo's own agent for Modbus TCP makes of its configuration file, out of pattoo_shared's classes and pymodbus.

Usage: modbus_agent.py CASE

CASE is JSON: {"file": the content of pattoo_agent_modbustcpd.yaml, "ports": ip target -> port of 127.0.0.1 in place of its
port 502, "agent_id", "hostname", "faulty": whether to have the two faults of that agent}.

Prints a JSON list of the datapoints of the body that pattoo would post, each the list of its pairs without the timestamp.
Numbers are spelled by what they are worth, as pattoo_oracle.py does.

The two faults: a holding register is read from unit 0, whatever the file says, and of neighbours only the first is read; and
neighbours are asked for in one request, however many.
"""

import json
import os
import shutil
import socket
import sys
import tempfile

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from pattoo_directory import configure
from pattoo_oracle import resolve, worth

PROGRAM = "pattoo_agent_modbustcpd"
# Table: (key, numbers in the notations of five and six digits with what is address 0).
TABLES = {
    "input_registers": ("input_register", ((30001, 39999), (300001, 365536))),
    "holding_registers": ("holding_register", ((40001, 49999), (400001, 465536))),
}


def neighbours(numbers):
    """Numbers as (first, count)."""
    runs = []
    for number in sorted(set(numbers)):
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def address_of(number, ranges):
    for first, last in ranges:
        if first <= number <= last:
            return number - first
    return None


def read(client, table, address, count, unit, faulty):
    """The registers of one run, or none of them."""
    if table == "holding_registers" and faulty:
        (count, unit) = (1, 0)
    ask = client.read_input_registers if table == "input_registers" else client.read_holding_registers
    registers = []
    while count:
        part = count if faulty else min(count, 125)
        try:
            reply = ask(address, count=part, device_id=unit)
        except (ModbusException, ValueError):
            # More than 125: this version of pymodbus refuses what a device would answer with an exception.
            return []
        if reply.isError():
            return []
        registers += reply.registers
        (address, count) = (address + part, count - part)
    return registers


def targets(case, pattoo):
    """TargetDataPoints for each group, table and target."""
    (configuration, variables, DATA_INT) = pattoo
    for group in case["file"][PROGRAM]["polling_groups"]:
        for table, (name, ranges) in TABLES.items():
            if table not in group:
                continue
            for target in group["ip_targets"]:
                points = variables.IPTargetPollingPoints(target)
                points.add(configuration.get_polling_points(group[table]))
                by_multiplier = {}
                for point in points.data:
                    by_multiplier.setdefault(point.multiplier, []).append(point.address)
                datapoints = variables.TargetDataPoints(target)
                unit = int(group.get("unit", 0))
                client = ModbusTcpClient("127.0.0.1", port=case["ports"][target])
                assert client.connect()
                for multiplier, numbers in sorted(by_multiplier.items()):
                    for number, count in neighbours(numbers):
                        address = address_of(number, ranges)
                        if address is None:
                            continue
                        registers = read(client, table, address, count, unit, case["faulty"])
                        for place, register in enumerate(registers):
                            value = register * (float(multiplier) if multiplier else 1)
                            datapoint = variables.DataPoint(
                                "{}_{}".format(name, number + place), value, data_type=DATA_INT)
                            datapoint.add(variables.DataPointMetadata("unit", str(unit).zfill(3)))
                            datapoints.add(datapoint)
                client.close()
                yield datapoints


def main():
    case = json.loads(sys.argv[1])
    folder = tempfile.mkdtemp(prefix="pattoo-agent-")
    try:
        configure(folder)
        os.mkdir(os.path.join(folder, "agent_id"))
        with open(os.path.join(folder, "agent_id", PROGRAM + ".agent_id"), "w") as file:
            file.write(case["agent_id"])
        socket.getfqdn = lambda: case["hostname"]

        from pattoo_shared import configuration, converter, variables
        from pattoo_shared.constants import DATA_INT

        agent = variables.AgentPolledData(PROGRAM, abs(int(case["file"][PROGRAM].get("polling_interval") or 300)))
        agent.add(list(targets(case, (configuration, variables, DATA_INT))))
        body = json.loads(json.dumps(converter.posting_data_points(converter.agentdata_to_post(agent))))
        print(json.dumps([[pair for pair in pairs if pair[0] != "pattoo_timestamp"] for pairs in resolve(body, worth)]))
    finally:
        shutil.rmtree(folder)


main()
