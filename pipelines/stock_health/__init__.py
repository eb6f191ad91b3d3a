"""Stock against demand: what each place will need, what it can give away, what to order.

Belongs here: the forecast of every counted place and article, and the mart `stock_health` made of it. Does not belong
here: how demand is forecast (models.demand) and how stock is counted (dbt).
"""

from pipelines.stock_health.nightly import StockReport, write_stock_health
from pipelines.stock_health.rules import StockRules, load_stock_rules

__all__ = ["StockReport", "StockRules", "load_stock_rules", "write_stock_health"]
