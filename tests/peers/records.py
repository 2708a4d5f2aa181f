"""Reads bodies on standard input, one a line, as the pattoo server reads them, and prints the records of each as a line of JSON.

The reading is pattoo_shared's own: `converter.cache_to_keypairs`.
"""

import json
import os
import sys
import tempfile

with tempfile.TemporaryDirectory() as folder:
    # pattoo_shared wants a configuration before it can be imported.
    with open(os.path.join(folder, 'pattoo.yaml'), 'w', encoding='utf-8') as file:
        json.dump({'pattoo': {key: folder for key in (
            'log_directory', 'cache_directory', 'daemon_directory', 'system_daemon_directory')}}, file)
    os.environ['PATTOO_CONFIGDIR'] = folder
    from pattoo_shared import converter

    for line in sys.stdin:
        records = converter.cache_to_keypairs(json.loads(line))
        print(json.dumps([{name.removeprefix('pattoo_'): value for name, value in record._asdict().items()}
                          for record in records]))
