"""A node in a process of its own, for tests that hold thousands of connections to it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.node.stub import node, offer

from usufruct.node.limits import Limits


def main() -> None:
    folder, limit = Path(sys.argv[1]), int(sys.argv[2])
    with node(folder, limits=Limits(connections=limit, rate=1e6, burst=10**6)) as made:
        assert made.server is not None
        licence = made.index.sell(offer())
        sys.stdout.write(f"{made.server.url} {licence}\n")
        sys.stdout.flush()
        # ends with the test's end of the pipe
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set())).start()
        ended.wait()


if __name__ == "__main__":
    main()
