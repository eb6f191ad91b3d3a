"""Demand: units of many series ahead, with intervals; a model only where it beats the simple rule."""

from models.demand.forecasting import DemandModel, Forecast, fit
from models.demand.panel import Calendar, Panel
from models.demand.settings import DemandSettings

__all__ = ["Calendar", "DemandModel", "DemandSettings", "Forecast", "Panel", "fit"]
