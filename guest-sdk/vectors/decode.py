"""Makes decode.json: registers, and what they mean. README.md beside it describes the format.

Usage: python3 decode.py > decode.json

It needs nothing but Python, whose `struct` lays out the values: no decoder of this project has a part in it.
"""

import json
import math
import struct

# From the bytes of a value, most significant first, to those on the wire.
ORDERS = {
    "ABCD": lambda words: words,
    "CDAB": lambda words: words[::-1],
    "BADC": lambda words: [word[::-1] for word in words],
    "DCBA": lambda words: [word[::-1] for word in words[::-1]],
}

INTEGERS = {"u16": ">H", "i16": ">h", "u32": ">I", "i32": ">i", "u64": ">Q", "i64": ">q"}
FLOATS = {"f16": ">e", "f32": ">f", "f64": ">d"}
DIGITS = {"bcd16": 4, "bcd32": 8, "bcd64": 16}

# What lies around a value, to show that nothing of it gets in.
BEFORE, AFTER = [0xDEAD], [0xBEEF]


def on_wire(value, order):
    """The registers of a value's bytes."""
    words = [value[place:place + 2] for place in range(0, len(value), 2)]
    return [int.from_bytes(word, "big") for word in ORDERS[order](words)]


def vector(kind, order, value, expected, **more):
    """One vector, with the value at place 1 of three or more registers."""
    registers = BEFORE + on_wire(value, order) + AFTER
    return {"type": kind, "order": order, "registers": registers, "place": 1, **more, **expected}


def integers(kind, layout):
    bits = struct.calcsize(layout) * 8
    low, high = (0, 2 ** bits - 1) if kind[0] == "u" else (-2 ** (bits - 1), 2 ** (bits - 1) - 1)
    # Each byte its own, so that no two orders look alike.
    pattern = int.from_bytes(bytes(range(0x11, 0x99, 0x11))[:bits // 8], "big")
    for number in (low, low + 1, 0, 1, 0x0102, pattern, high - 1, high):
        yield struct.pack(layout, number), str(number)


def spelled(number):
    return repr(number) if math.isfinite(number) else {math.inf: "inf", -math.inf: "-inf"}.get(number, "nan")


def floats(layout):
    bits = struct.calcsize(layout) * 8
    patterns = {
        # Smallest and largest subnormal, smallest normal, largest, infinities, not a number.
        16: (0x0001, 0x03FF, 0x0400, 0x7BFF, 0x7C00, 0xFC00, 0x7E00, 0x8000, 0x3555),
        32: (0x00000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FC00000, 0x80000000),
        64: (0x1, 0x000FFFFFFFFFFFFF, 0x0010000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000,
             0xFFF0000000000000, 0x7FF8000000000000, 0x8000000000000000),
    }[bits]
    values = [pattern.to_bytes(bits // 8, "big") for pattern in patterns]
    values += [struct.pack(layout, number) for number in (0.0, 1.0, -2.0, 0.1, 123.456, -40.25)]
    for value in values:
        yield value, spelled(struct.unpack(layout, value)[0])


def vectors():
    for order in ORDERS:
        for kind, layout in INTEGERS.items():
            for value, expected in integers(kind, layout):
                yield vector(kind, order, value, {"expected": expected})
        for kind, layout in FLOATS.items():
            for value, expected in floats(layout):
                yield vector(kind, order, value, {"expected": expected})
        for kind, digits in DIGITS.items():
            for text in ("0", "1", "1234567890123456"[:digits], "9" * digits):
                yield vector(kind, order, bytes.fromhex(text.zfill(digits)), {"expected": str(int(text))})
            for wrong in ("A", "F", "C" + "0" * (digits - 1)):
                yield vector(kind, order, bytes.fromhex(wrong.zfill(digits)), {"error": "digit"})
        for number in (0, 1, 0x8000, 0x8009, 0x1234, 0xFFFF):
            value = struct.pack(">H", number)
            yield vector("bits", order, value, {"expected": format(number, "016b")})
            for first, last in ((0, 0), (0, 15), (4, 6), (15, 15), (8, 15)):
                field = (number >> first) & (2 ** (last - first + 1) - 1)
                yield vector("field", order, value, {"expected": str(field)}, first=first, last=last)
        for text, expected in ((b"Pump 7", "Pump 7"), (b" A1   ", "A1"), (b"ABC\0XY", "ABC"), (b"\0\0", ""), (b"caf\xe9", "caf\ufffd")):
            # The first register of a text comes first in any order; only its two bytes may be swapped.
            bytewise = {"ABCD": "ABCD", "CDAB": "ABCD", "BADC": "BADC", "DCBA": "BADC"}[order]
            lain = vector("text", bytewise, text, {"expected": expected}, count=len(text) // 2)
            yield {**lain, "order": order}
        for number, scale, offset in ((615, 0.1, -40.0), (0, 2.0, 1.5), (65535, 0.01, 0.0)):
            more = {"scale": scale, "offset": offset}
            yield vector("u16", order, struct.pack(">H", number), {"expected": repr(number * scale + offset)}, **more)
        yield vector("i16", order, struct.pack(">h", -3), {"expected": repr(-3 * 0.5 + 1.0)}, scale=0.5, offset=1.0)
        # Beyond what was read, by one register.
        for kind, size in (("u16", 1), ("i16", 1), ("f16", 1), ("bcd16", 1), ("bits", 1), ("u32", 2), ("i32", 2),
                           ("f32", 2), ("bcd32", 2), ("u64", 4), ("i64", 4), ("f64", 4), ("bcd64", 4)):
            yield {"type": kind, "order": order, "registers": [1] * size, "place": 1, "error": "range"}
        yield {"type": "text", "order": order, "registers": [0x4142], "place": 0, "count": 2, "error": "range"}
        yield {"type": "field", "order": order, "registers": [], "place": 0, "first": 0, "last": 3, "error": "range"}


def main():
    lines = ",\n".join(json.dumps(each) for each in vectors())
    print(f"[\n{lines}\n]")


main()
