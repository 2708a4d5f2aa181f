"""What registers mean: integers and floats of 16, 32 and 64 bits in every word and byte order, BCD, bits, and text.

Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an order. Manuals
name it by what becomes of the four bytes `ABCD`, most significant first.

    registers = decode.Registers([0xE979, 0x42F6, 0xFFFF], "CDAB")
    registers.f32(0)    # 123.456: 0x42F6E979 as a float of 32 bits
    registers.i16(2)    # -1
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .errors import Error

Order = Literal["ABCD", "CDAB", "BADC", "DCBA", "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"]
"""How the bytes of a value are spread over registers. `A` is the most significant byte, and a register transmits its high byte
first. `ABCD` is the order of Modbus itself, `CDAB` has the least significant register first, `BADC` the two bytes of each
register swapped, `DCBA` both. Names of eight letters are the same for 64 bits, and each order holds for any width."""

_ORDERS = {"ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}


class OutOfRangeError(Error, IndexError):
    """A value lies, in part or whole, beyond the registers that were read."""

    def __init__(self, place: int, count: int, read: int) -> None:
        super().__init__(f"a value of {count} registers at place {place} does not fit into the {read} that were read")
        self.place, self.count, self.read = place, count, read


class DigitError(Error, ValueError):
    """Registers are not packed BCD. As a rule the order is another one, or the value is not in BCD."""

    def __init__(self, place: int, digit: int, nth: int) -> None:
        super().__init__(f"the value at place {place} is not in BCD: digit {nth} of it is 0x{digit:X}")
        self.place, self.digit, self.nth = place, digit, nth


class Registers:
    """Registers that were read, and the order of their device.

    Every reading function takes the place of the value's first register among them, from 0: not the address in the device. One
    that needs more registers than there are raises `OutOfRangeError`.
    """

    def __init__(self, registers: Iterable[int], order: Order = "ABCD") -> None:
        self._registers: Sequence[int] = tuple(registers)
        name = _ORDERS.get(order, order)
        if name not in _ORDERS.values():
            raise ValueError(f"{order!r} is no order; there are ABCD, CDAB, BADC and DCBA")
        self._low_word_first = name in ("CDAB", "DCBA")
        self._bytes_swapped = name in ("BADC", "DCBA")

    def in_order(self, order: Order) -> Registers:
        """The same registers, read in another order."""
        return Registers(self._registers, order)

    def __len__(self) -> int:
        return len(self._registers)

    def u16(self, place: int) -> int:
        """One register, unsigned."""
        return int.from_bytes(self._bytes(place, 1), "big")

    def i16(self, place: int) -> int:
        """One register in two's complement."""
        return int.from_bytes(self._bytes(place, 1), "big", signed=True)

    def u32(self, place: int) -> int:
        """Two registers, unsigned."""
        return int.from_bytes(self._bytes(place, 2), "big")

    def i32(self, place: int) -> int:
        """Two registers in two's complement."""
        return int.from_bytes(self._bytes(place, 2), "big", signed=True)

    def u64(self, place: int) -> int:
        """Four registers, unsigned."""
        return int.from_bytes(self._bytes(place, 4), "big")

    def i64(self, place: int) -> int:
        """Four registers in two's complement."""
        return int.from_bytes(self._bytes(place, 4), "big", signed=True)

    def f16(self, place: int) -> float:
        """One register as IEEE 754 binary16. Like its wider kin it may be infinite or not a number, which pattoo refuses."""
        return self._float(">e", place, 1)

    def f32(self, place: int) -> float:
        """Two registers as IEEE 754 binary32."""
        return self._float(">f", place, 2)

    def f64(self, place: int) -> float:
        """Four registers as IEEE 754 binary64."""
        return self._float(">d", place, 4)

    def bcd16(self, place: int) -> int:
        """One register of packed BCD: four decimal digits, so that 0x1234 is 1234. Raises `DigitError` if one is above 9."""
        return self._bcd(place, 1)

    def bcd32(self, place: int) -> int:
        """Two registers of packed BCD: eight decimal digits."""
        return self._bcd(place, 2)

    def bcd64(self, place: int) -> int:
        """Four registers of packed BCD: 16 decimal digits."""
        return self._bcd(place, 4)

    def bits(self, place: int) -> list[bool]:
        """The 16 bits of a register, the least significant first: `bits(0)[3]` is the one of value 8."""
        register = self.u16(place)
        return [bool(register >> bit & 1) for bit in range(16)]

    def field(self, place: int, first: int, last: int) -> int:
        """The number that bits `first` to `last` of a register make, counted from 0 for the least significant: `field(0, 4, 6)` of
        `0b0101_0000` is 5. Bits beyond the 15th are 0."""
        register = self.u16(place)
        return (register & ((1 << last + 1) - 1)) >> first if 0 <= first <= last else 0

    def text(self, place: int, count: int) -> str:
        """`count` registers of two ASCII characters each, up to the first NUL and without white space around it. The first
        register comes first in any order; a byte that is not ASCII becomes `U+FFFD`."""
        data = b"".join(self._bytes_of(register) for register in self._window(place, count))
        return data.partition(b"\0")[0].decode("ascii", "replace").strip(" \t\n\v\f\r")

    def _bytes_of(self, register: int) -> bytes:
        return register.to_bytes(2, "little" if self._bytes_swapped else "big")

    def _bytes(self, place: int, count: int) -> bytes:
        """Registers as bytes, the most significant first."""
        words = [self._bytes_of(register) for register in self._window(place, count)]
        return b"".join(reversed(words) if self._low_word_first else words)

    def _float(self, layout: str, place: int, count: int) -> float:
        value: float = struct.unpack(layout, self._bytes(place, count))[0]
        return value

    def _bcd(self, place: int, count: int) -> int:
        digits = self._bytes(place, count).hex()
        for nth, digit in enumerate(digits):
            if not digit.isdecimal():
                raise DigitError(place, int(digit, 16), nth)
        return int(digits)

    def _window(self, place: int, count: int) -> Sequence[int]:
        if place < 0 or place + count > len(self._registers):
            raise OutOfRangeError(place, count, len(self._registers))
        return self._registers[place : place + count]


@dataclass(frozen=True, slots=True)
class Linear:
    """From the number in registers to what it stands for: times `scale`, plus `offset`.

    celsius = Linear(0.1, -40)
    celsius(registers.u16(0))
    """

    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, number: float) -> float:
        return number * self.scale + self.offset
