"""Answers what pattoo itself would have made of a collection, and what it reads out of the body that we made.

One JSON case per line on stdin, one JSON answer per line on stdout. The first line out is a greeting, which tells the
version of pattoo_shared and which characters this Python's Unicode tables do not know. Everything pattoo_shared wants
on disk is put into a temporary directory and removed at the end of input.

The bodies are built by pattoo_shared's own classes and `converter`; of pattoo's surroundings three are replaced: the
host name (`socket.getfqdn`), for datapoints without one the timestamp, and its configuration is read once instead of
for each body. What our runtime refuses and pattoo does
not is in `refusal`, and nowhere else.

A case:
    {"program", "agent_id", "hostname", "interval" (s), "now" (ms), "future_bound" (ms), "built_at" (ms),
     "calls": [{"target", "points": [{"key", "type", "value", "timestamp" (or null), "metadata": [[key, value, identifying]]}]}],
     "body": the JSON text that we made, or null}
Values are spelled with their type, so that no reader of JSON in between can change them:
    "i:<decimal digits>", "f:<the 16 hexadecimal digits of an IEEE double>", "s:<text>".

The answer:
    {"verdicts": a list per call ("ok", "key", "value", "metadata", "timestamp", "duplicate" for each point) or "target",
     "theirs", "ours": the resolved datapoints [[[key, value], ...], ...], numbers by what they are worth ("n:<fraction>"),
     "our_values": the pattoo_value of each of our datapoints, with its type,
     "repeated": our pairs that are listed more than once,
     "frame": what differs in the members of the body around the datapoints,
     "records", "same_records": how many records pattoo's reading side makes of our body; whether it makes the same of both}
"""

import json
import math
import os
import shutil
import socket
import struct
import sys
import tempfile
import unicodedata
from fractions import Fraction
from importlib.metadata import version

from pattoo_directory import configure

COLUMN = 512


def typed(value):
    """Spell a value with its type."""
    if isinstance(value, str):
        return 's:' + value
    if isinstance(value, int) and not isinstance(value, bool):
        return 'i:{}'.format(value)
    if isinstance(value, float):
        return 'f:' + struct.pack('>d', value).hex()
    raise ValueError('a value of no type that pattoo has: {!r}'.format(value))


def untyped(text):
    """Read what `typed` wrote."""
    (kind, rest) = text.split(':', 1)
    if kind == 's':
        return rest
    if kind == 'i':
        return int(rest)
    return struct.unpack('>d', bytes.fromhex(rest))[0]


def worth(value):
    """Spell a value so that 1 and 1.0, which pattoo interns as one pair, are spelled alike."""
    return typed(value) if isinstance(value, str) else 'n:{}'.format(Fraction(value))


def unassigned():
    """List the ranges of characters that this Python's Unicode tables do not know, first and last included."""
    ranges = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) == 'Cn':
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return ranges


def refusal(case, point, datapoint, metadata):
    """Tell why a datapoint must not be sent, or return None."""
    def too_long(key):
        return len('{}_{}'.format(case['program'], key).encode()) > COLUMN

    # Pattoo's own verdict on the key, which it would apply silently; then what the server cannot store.
    if datapoint.valid is False or too_long(datapoint.key):
        return 'key'
    value = datapoint.value
    if isinstance(value, float) and not (math.isfinite(value) and abs(value) < 1e30):
        return 'value'

    # Pattoo's own verdict on metadata, which it would silently drop from the datapoint.
    first = {}
    for item in metadata:
        if item.valid is False or too_long(item.key):
            return 'metadata'
        first.setdefault(item.key, item.value)
    # The server stores str(value)[:512] in 512 bytes.
    if any(len(value[:COLUMN].encode()) > COLUMN for value in first.values()):
        return 'metadata'

    # A series starts at 1 and takes only what is newer; one far-off value silences it.
    timestamp = point['timestamp']
    if timestamp is not None and not 1 < timestamp <= case['now'] + case['future_bound']:
        return 'timestamp'
    return None


class Oracle():
    """Builds and reads bodies with pattoo_shared."""

    def __init__(self, directory):
        """Import pattoo_shared, configured to keep to `directory`."""
        self._ids = os.path.join(directory, 'agent_id')
        os.makedirs(self._ids)
        configure(directory)
        sys.dont_write_bytecode = True

        from pattoo_shared import configuration, converter, variables
        config = configuration.Config()
        configuration.Config = lambda: config
        self._converter = converter
        self._variables = variables

    def _agent(self, case):
        """Create pattoo's agent of the case. It reads its id from the file that pattoo keeps it in."""
        with open(os.path.join(self._ids, '{}.agent_id'.format(case['program'])), 'w') as handle:
            handle.write(case['agent_id'])
        socket.getfqdn = lambda: case['hostname']
        return self._variables.AgentPolledData(case['program'], case['interval'])

    def _point(self, case, point):
        """Create pattoo's datapoint. Return it with the reason for which it must not be sent."""
        timestamp = case['now'] if point['timestamp'] is None else point['timestamp']
        datapoint = self._variables.DataPoint(
            point['key'], untyped(point['value']), data_type=point['type'], timestamp=timestamp)
        metadata = [
            self._variables.DataPointMetadata(key, value, update_checksum=identifying)
            for key, value, identifying in point['metadata']]
        reason = refusal(case, point, datapoint, metadata)
        if reason is None:
            datapoint.add(metadata)
        return (datapoint, reason)

    def _build(self, case):
        """Build pattoo's body of the case. Return it with the verdicts."""
        agent = self._agent(case)
        targets = {}
        verdicts = []
        for call in case['calls']:
            # Pattoo strips targets when it converts them, but not when it looks for duplicates; ours are one target
            # from the start. A target gets its position with its first accepted datapoint.
            name = call['target'].strip()
            if not name or len(name.encode()) > COLUMN:
                verdicts.append('target')
                continue
            reasons = []
            for point in call['points']:
                (datapoint, reason) = self._point(case, point)
                if reason is None:
                    if name not in targets:
                        targets[name] = self._variables.TargetDataPoints(call['target'])
                    before = len(targets[name].data)
                    targets[name].add(datapoint)
                    reason = 'ok' if len(targets[name].data) > before else 'duplicate'
                reasons.append(reason)
            verdicts.append(reasons)
        agent.add(list(targets.values()))
        posting = self._converter.agentdata_to_post(agent)
        body = self._converter.posting_data_points(posting)
        return (json.loads(json.dumps(body)), verdicts)

    def answer(self, case):
        """Answer one case."""
        (theirs, verdicts) = self._build(case)
        result = {'verdicts': verdicts, 'theirs': resolve(theirs, worth)}
        if case['body'] is not None:
            ours = json.loads(case['body'])
            records = self._converter.cache_to_keypairs(ours)
            result.update({
                'ours': resolve(ours, worth),
                'our_values': [dict(pairs)['pattoo_value'] for pairs in resolve(ours, typed)],
                'repeated': repeated(ours),
                'frame': frame(case, ours, theirs),
                'records': len(records),
                'same_records': records == self._converter.cache_to_keypairs(theirs)})
        return result


def resolve(body, spell):
    """List the pairs of each datapoint of a body."""
    pairs = {
        _id: [key, spell(value)] for _id, (key, value) in body['pattoo_datapoints']['key_value_pairs'].items()}
    return [[pairs[str(_id)] for _id in row] for row in body['pattoo_datapoints']['datapoint_pairs']]


def repeated(body):
    """List the pairs that a body lists more than once."""
    seen = set()
    twice = []
    for key, value in body['pattoo_datapoints']['key_value_pairs'].values():
        pair = (key, typed(value))
        if pair in seen:
            twice.append(list(pair))
        seen.add(pair)
    return twice


def frame(case, ours, theirs):
    """Tell what differs around the datapoints."""
    differences = []
    if list(ours) != list(theirs) or list(ours['pattoo_datapoints']) != list(theirs['pattoo_datapoints']):
        differences.append('members {} instead of {}'.format(list(ours), list(theirs)))
    ids = list(ours['pattoo_datapoints']['key_value_pairs'])
    if ids != [str(_) for _ in range(len(ids))]:
        differences.append('ids {}'.format(ids))
    for member in ('pattoo_agent_id', 'pattoo_agent_polling_interval'):
        if typed(ours[member]) != typed(theirs[member]):
            differences.append('{} {!r} instead of {!r}'.format(member, ours[member], theirs[member]))
    if typed(ours['pattoo_agent_timestamp']) != typed(case['built_at']):
        differences.append('pattoo_agent_timestamp {!r}'.format(ours['pattoo_agent_timestamp']))
    return differences


def main():
    """Answer until the end of input."""
    directory = tempfile.mkdtemp(prefix='pattoo-oracle-')
    try:
        oracle = Oracle(directory)
        greeting = {'pattoo_shared': version('PattooShared'), 'unassigned': unassigned()}
        print(json.dumps(greeting), flush=True)
        for line in sys.stdin.buffer:
            print(json.dumps(oracle.answer(json.loads(line))), flush=True)
    finally:
        shutil.rmtree(directory)


if __name__ == '__main__':
    main()
