"""How things fail here: by exceptions, all of them an `Error`."""


class Error(Exception):
    """What this package raises. Its text is a sentence for the operator, so that it can simply be let through."""
