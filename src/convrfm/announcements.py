"""What a computation says of itself unasked: on the error stream, or to whoever listens."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _on_the_error_stream(sentence: str) -> None:
    print(sentence, file=sys.stderr)


_listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=_on_the_error_stream)


def announce(sentence: str) -> None:
    """Say a sentence, in the words of Python."""
    _listener.get()(sentence)


@contextmanager
def announced_to(listener: Callable[[str], None]) -> Iterator[None]:
    """Within it, this function is told what is announced."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
