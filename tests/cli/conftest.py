"""What all tests of the command line share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def logging_kept() -> Iterator[None]:
    """Hydra sets up the logging of this process, and switches off the loggers that it finds."""
    loggers = [one for one in logging.root.manager.loggerDict.values() if hasattr(one, "disabled")]
    disabled = [logger.disabled for logger in loggers]
    level = logging.root.level
    handlers = logging.root.handlers[:]
    yield
    for logger, before in zip(loggers, disabled, strict=True):
        logger.disabled = before
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
