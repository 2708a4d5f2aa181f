"""The decoders, held against `vectors/decode.json`."""

import json
import math
import struct
import unittest
from pathlib import Path

from pattoo import decode

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "decode.json"


def decoded(vector):
    """What we make of a vector: an expected value as it is spelled there, or the name of an error."""
    registers = decode.Registers(vector["registers"], vector["order"])
    kind, place = vector["type"], vector["place"]
    more = {"text": ["count"], "field": ["first", "last"]}.get(kind, [])
    try:
        value = getattr(registers, kind)(place, *(vector[name] for name in more))
    except decode.OutOfRangeError:
        return "error", "range"
    except decode.DigitError:
        return "error", "digit"
    if kind == "bits":
        return "expected", "".join("01"[bit] for bit in reversed(value))
    if "scale" in vector or "offset" in vector:
        value = decode.Linear(vector["scale"], vector["offset"])(value)
    return "expected", exact(value) if isinstance(value, float) else str(value)


def wanted(vector):
    if "error" in vector:
        return "error", vector["error"]
    is_float = vector["type"] in ("f16", "f32", "f64") or "scale" in vector
    return "expected", exact(float(vector["expected"])) if is_float else vector["expected"]


def exact(number):
    """By its bits, so that -0 is not 0; all that are not a number alike."""
    return "nan" if math.isnan(number) else struct.pack(">d", number).hex()


class Decoders(unittest.TestCase):
    def test_every_vector_decodes_as_expected(self):
        vectors = json.loads(VECTORS.read_text())
        self.assertGreater(len(vectors), 500)
        for vector in vectors:
            self.assertEqual(decoded(vector), wanted(vector), vector)

    def test_errors_say_what_does_not_fit_and_are_of_the_natural_kinds(self):
        registers = decode.Registers([0, 0x12E4])
        with self.assertRaisesRegex(IndexError, "a value of 2 registers at place 1 does not fit into the 2 that were read"):
            registers.u32(1)
        with self.assertRaisesRegex(ValueError, "the value at place 1 is not in BCD: digit 2 of it is 0xE"):
            registers.bcd16(1)
        with self.assertRaises(IndexError):
            registers.u16(-1)
        with self.assertRaisesRegex(ValueError, "'ABDC' is no order"):
            decode.Registers([0], "ABDC")

    def test_bits_that_no_register_has_are_zero(self):
        registers = decode.Registers([0xFFFF])
        self.assertEqual([registers.field(0, 14, 200), registers.field(0, 16, 17), registers.field(0, 9, 8)], [3, 0, 0])


if __name__ == "__main__":
    unittest.main()
