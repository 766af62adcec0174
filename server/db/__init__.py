"""Owns the way to the database: connections, transactions, dialects, migrations. Knows no table of any domain."""
