"""The way from a function `collect` to the export of a component. `python -m pattoo build` uses it, and no collector needs to.

A component holds a Python that has already imported everything: what is imported only while `collect` runs is not there.
"""

from __future__ import annotations

# The standard library itself imports these only when they are first needed.
import _strptime  # noqa: F401
import encodings.ascii
import encodings.cp1252
import encodings.idna
import encodings.iso8859_15
import encodings.latin_1
import encodings.utf_8_sig
import encodings.utf_16  # noqa: F401
from collections.abc import Callable

from componentize_py_types import Err

from ._run import run
from ._wasm import Runtime


def world(collect: Callable[[], None]) -> type:
    """The class `WitWorld` that componentize-py looks for, which calls `collect`."""

    class WitWorld:
        def collect(self) -> None:
            text, _ = run(Runtime(), collect)
            if text is not None:
                raise Err(text.encode(errors="replace").decode())

    return WitWorld
