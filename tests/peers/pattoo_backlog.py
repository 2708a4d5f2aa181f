"""Leaves what pattoo's own agent leaves while its server is unavailable: its id, and payloads in its cache directory.

    pattoo_backlog.py PROGRAM TARGET COUNT

The configuration is that of PATTOO_CONFIGDIR. Prints the payloads as a JSON list, in the order in which they were made.
"""

import json
import sys
import time


def main():
    """Do what the arguments say."""
    from pattoo_shared import converter, phttp
    from pattoo_shared.constants import DATA_INT
    from pattoo_shared.variables import AgentPolledData, DataPoint, TargetDataPoints
    program, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    payloads = []
    for number in range(count):
        agent = AgentPolledData(program, 300)
        target = TargetDataPoints(name)
        target.add(DataPoint('input_register_30386', number, data_type=DATA_INT))
        agent.add(target)
        payload = converter.posting_data_points(converter.agentdata_to_post(agent))
        # Nothing listens there, so it is saved.
        phttp.post('http://127.0.0.1:9/', payload, agent.agent_id)
        payloads.append(payload)
        # The time in milliseconds is in the name of the file.
        time.sleep(0.005)
    print(json.dumps(payloads))


if __name__ == '__main__':
    main()
