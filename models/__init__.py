"""Machine learning only: Arrow, Polars or NumPy in and out, no I/O and no imports from the platform."""
