"""Child of the crash tests: appends from many threads, says what was acknowledged, until killed."""

import os
import sys
import threading
from pathlib import Path

from usufruct.crypto.ed25519 import SecretKey
from usufruct.log import Log

origin, folder, run = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
log = Log.open(folder, origin=origin, signer=SecretKey(b"s" * 32))
os.write(1, b"open\n")


def work(number):
    i = 0
    while True:
        data = [b"%s %d %d %d" % (run.encode(), number, i, k) for k in range(1 + 40 * (i % 9 == 8))]
        for entry, envelope in zip(log.append_many(data), data, strict=True):
            # one write a line, so that a kill leaves whole lines
            os.write(1, b"entry %d %s\n" % (entry.index, envelope))
        if i % 7 == 6:
            os.write(1, b"note %s\n" % log.checkpoint().hex().encode())
        i += 1


for n in range(8):
    threading.Thread(target=work, args=(n,), daemon=True).start()
threading.Event().wait()
