"""A simulated retailer: a landing folder of every feed, and what is true kept apart from it.

Belongs here: the world, its people and their shopping, and the mess that real feeds come with. Does not belong here:
anything that reads feeds; nothing in this package is used to process a retailer's own data.
"""

from pipelines.simulation.retailer import DEFAULT_END, SimulationReport, simulate

__all__ = ["DEFAULT_END", "SimulationReport", "simulate"]
