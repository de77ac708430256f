"""A real node in a thread of the test's own process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from tests.workspace.homes import passphrase

from usufruct.node.run import run_node


@contextlib.contextmanager
def running(home: Path, **options: Any) -> Iterator[dict[str, Any]]:
    """Run a node in a thread; gives what it said when it had started."""
    stop, ready = threading.Event(), threading.Event()
    said: dict[str, Any] = {}
    failed: list[BaseException] = []

    def started(document: dict[str, Any]) -> None:
        said.update(document)
        ready.set()

    def run() -> None:
        try:
            run_node(
                home,
                passphrase=passphrase,
                started=started,
                stop=stop,
                **({"log": StringIO()} | options),
            )
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        if failed:
            raise failed[0]
        yield said
    finally:
        stop.set()
        thread.join(60)
    assert not failed, failed
