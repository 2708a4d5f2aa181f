"""Reads bodies on standard input, one a line, as the pattoo server reads them, and prints the records of each as a line of JSON.

The reading is pattoo_shared's own: `converter.cache_to_keypairs`.
"""

import json
import sys
import tempfile

from pattoo_directory import configure

with tempfile.TemporaryDirectory() as folder:
    configure(folder)
    from pattoo_shared import converter

    for line in sys.stdin:
        records = converter.cache_to_keypairs(json.loads(line))
        print(json.dumps([{name.removeprefix('pattoo_'): value for name, value in record._asdict().items()}
                          for record in records]))
