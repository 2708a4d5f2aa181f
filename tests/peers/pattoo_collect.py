"""Collects as pattoo's own agents do, for comparison: so many datapoints of one target, as the body that would be posted.

    pattoo_collect.py DATAPOINTS          one collection; the body goes to standard output
    pattoo_collect.py DATAPOINTS ROUNDS   says for each line on standard input the seconds that so many collections took
"""

import json
import shutil
import sys
import tempfile
import time

from pattoo_directory import configure


def collect(datapoints):
    """Make one collection."""
    from pattoo_shared import converter
    from pattoo_shared.constants import DATA_INT
    from pattoo_shared.variables import AgentPolledData, DataPoint, TargetDataPoints
    agent = AgentPolledData('modbus_registers', 300)
    target = TargetDataPoints('plc1')
    for number in range(datapoints):
        target.add(DataPoint('holding_register_{}'.format(number), number * 7919 % 65536, data_type=DATA_INT))
    agent.add(target)
    return json.dumps(converter.posting_data_points(converter.agentdata_to_post(agent)))


def main():
    """Do what the arguments say."""
    datapoints = int(sys.argv[1])
    directory = tempfile.mkdtemp(prefix='pattoo-collect-')
    try:
        configure(directory)
        if len(sys.argv) == 2:
            print(collect(datapoints))
            return
        rounds = int(sys.argv[2])
        collect(1)
        for _ in sys.stdin:
            start = time.process_time()
            for _ in range(rounds):
                collect(datapoints)
            print(time.process_time() - start, flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == '__main__':
    main()
