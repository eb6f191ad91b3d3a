"""A platform nobody has seen, connected: what CONTRIBUTING's recipes point at, held by the contract tests."""
