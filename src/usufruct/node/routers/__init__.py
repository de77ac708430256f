"""One router a capability; each has ``make(state)``."""
