"""Reads a page of metrics on standard input as Prometheus' own client reads it, and prints its families as JSON: name, type, help, and
samples as [name, labels, value]."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = [{'name': family.name, 'type': family.type, 'help': family.documentation,
             'samples': [[sample.name, sample.labels, sample.value] for sample in family.samples]}
            for family in text_string_to_metric_families(sys.stdin.read())]
print(json.dumps(families))
