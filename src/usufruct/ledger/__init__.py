"""The ledger: one interface, an embedded engine and any EVM network by URL."""
