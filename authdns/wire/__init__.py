"""Bytes in, bytes out: names, types, the query parser, message encoding. Knows nothing of zones."""
