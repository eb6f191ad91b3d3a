"""Thin Dagster assets from feed to push, their checks, jobs, schedules and sensor.

Nothing is decided here: a body calls one function of the platform and reports what it did.
"""
