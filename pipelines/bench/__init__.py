"""`omnilake bench`: what this machine does, as ratios against a baseline in the same run.

Absolute seconds differ between machines and even between minutes; a ratio within one round does not mislead. What is
good is said in the documentation's page on performance. Belongs here: measuring. Does not belong here: anything that a
run uses.
"""

from pipelines.bench.run import run_bench

__all__ = ["run_bench"]
