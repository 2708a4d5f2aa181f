"""Collects as pattoo's own agents do, for comparison: so many datapoints of one target, as the body that would be posted.

    pattoo_collect.py DATAPOINTS          one collection; the body goes to standard output
    pattoo_collect.py DATAPOINTS ROUNDS   says for each line on standard input the seconds that so many collections took
"""

import json
import os
import shutil
import sys
import tempfile
import time


def configure(directory):
    """Let pattoo_shared keep to a directory."""
    for name in ('log', 'cache', 'daemon'):
        os.makedirs(os.path.join(directory, name))
    files = {
        'pattoo.yaml': {'pattoo': {
            'log_directory': os.path.join(directory, 'log'),
            'log_level': 'critical',
            'cache_directory': os.path.join(directory, 'cache'),
            'daemon_directory': os.path.join(directory, 'daemon'),
            'system_daemon_directory': os.path.join(directory, 'daemon')}},
        'pattoo_agent.yaml': {'pattoo_agent_api': {'ip_address': '127.0.0.1', 'ip_bind_port': 20201}}}
    for name, content in files.items():
        with open(os.path.join(directory, name), 'w') as handle:
            json.dump(content, handle)
    os.environ['PATTOO_CONFIGDIR'] = directory


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
