"""Validates YAML documents against a JSON Schema, with the jsonschema package.

Usage: schema_check.py SCHEMA

Reads a JSON list of YAML texts from stdin. Prints a JSON list with what is wrong with each: a list of messages.
"""

import json
import sys

import jsonschema
import yaml


def main():
    with open(sys.argv[1], encoding="utf-8") as schema:
        schema = json.load(schema)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    texts = json.load(sys.stdin)
    print(json.dumps([[error.message for error in validator.iter_errors(yaml.safe_load(text))] for text in texts]))


main()
