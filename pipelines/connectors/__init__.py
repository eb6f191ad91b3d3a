"""Connectors: one file a platform, pull side; all behind `protocol`."""
