"""The client side of a node: signed requests, directory, downloads."""
