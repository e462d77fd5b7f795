"""Zone-file text to records, the immutable Zone, building and checking it. Knows nothing of queries."""
