"""The end of a program by Ctrl-C or SIGTERM: once, so that a second one does not interrupt the cleaning up."""

import signal

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def interrupt_once() -> None:
    """Have the first of either signal raise KeyboardInterrupt, and all after it do nothing."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
