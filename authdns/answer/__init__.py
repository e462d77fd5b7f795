"""From a query to its response: lookup (the semantics), classes, compiler, executor, respond (the ladder)."""
