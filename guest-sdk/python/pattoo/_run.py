"""One call of `collect`, the same under the runtime and in a test."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable

from . import _host, log
from .errors import Error


def run(host: _host.Host, collect: Callable[[], None]) -> tuple[str | None, BaseException | None]:
    """Calls it; gives the text for the operator if it failed, and the exception."""
    before = _host.replace(host)
    handler, root = log.Handler(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    # The runtime decides what is shown.
    root.setLevel(log.TRACE)
    try:
        collect()
        return None, None
    except Exception as error:
        for line in "".join(traceback.format_exception(error)).splitlines():
            log.debug(line)
        return _text(error), error
    except SystemExit as error:
        code = error.code
        failed = code is not None and code != 0
        return (f"the collector exited with {code!r}" if failed else None), (error if failed else None)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        _host.replace(before)


def _text(error: BaseException) -> str:
    """What the operator reads: the message alone where it was written for that, else also what it is and where it arose."""
    if isinstance(error, Error):
        return str(error)
    name = type(error).__name__
    said = f"{name}: {error}" if str(error) else name
    if sys.platform == "wasi" and isinstance(error, ModuleNotFoundError):
        said += "; a component has only what was imported at the top of its files when it was built"
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return said
    # The innermost of the collector's own: what lies below belongs to a library.
    own = [frame for frame in frames if not frame.filename.startswith((_LIBRARY, _PACKAGE))]
    frame = (own or frames)[-1]
    return f"{said} ({frame.filename.rpartition('/')[2]}, line {frame.lineno}, in {frame.name})"


_PACKAGE = __file__.rpartition("/")[0]
_LIBRARY = (traceback.__file__ or "").rpartition("/")[0]
