"""Measurements of `omnilake serve` under load, run by hand."""
