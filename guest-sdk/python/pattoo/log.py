"""Words for the operator: one line each in the agent's log, with the name of the program.

    log.warning("SITE_A answered %s", status)

The functions take the arguments of those of `logging`, and lines of `logging` itself come here, too, so a library that
logs needs nothing. What is printed becomes a line of level info.

A message is cut at 4 096 bytes, and of one collection's lines the first 1 000 are kept (both unless the operator set it
otherwise). An exception that ends the collection is logged anyway: let it through, and do not log it as well.
"""

import logging

from . import _host

TRACE = 5
"""Below `logging.DEBUG`: every step, for the author."""


def log(level: int, message: object, *args: object) -> None:
    """Writes one line of a level of `logging`. Operators see `logging.INFO` and above unless they ask for more."""
    text = str(message)
    _host.current().log(level, text % args if args else text)


def trace(message: object, *args: object) -> None:
    """Every step, for the author."""
    log(TRACE, message, *args)


def debug(message: object, *args: object) -> None:
    """What helps to find a fault."""
    log(logging.DEBUG, message, *args)


def info(message: object, *args: object) -> None:
    """What an operator may want to know."""
    log(logging.INFO, message, *args)


def warning(message: object, *args: object) -> None:
    """Something is wrong, and the collection goes on."""
    log(logging.WARNING, message, *args)


def error(message: object, *args: object) -> None:
    """Something was lost."""
    log(logging.ERROR, message, *args)


class Handler(logging.Handler):
    """Hands lines of `logging` to the runtime. It is on the root logger already while `collect` runs."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            for line in self.format(record).splitlines():
                log(record.levelno, line)
        except Exception:
            self.handleError(record)
