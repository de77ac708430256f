"""One append-only log a home, in the C2SP tlog-tiles format; it knows no ledger."""

from usufruct.log.checkpoints import CheckpointMemory
from usufruct.log.log import Log
from usufruct.log.records import Entry, LogEntry

__all__ = ["CheckpointMemory", "Entry", "Log", "LogEntry"]
