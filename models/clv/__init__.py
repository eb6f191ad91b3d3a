"""Customer lifetime value: how often customers will buy, and what it will be worth.

Pure: arrays in, arrays out. Histories come from SQL (pipelines), and what comes out is written by it.
"""

from models.clv.choosing import BG_NBD, CANDIDATES, MODELS, Choice, choose
from models.clv.counting import CountingModel, expected_purchases
from models.clv.fitting import Fitted, TooFewError, blocks, fit
from models.clv.gamma_gamma import GammaGamma, fit_gamma_gamma
from models.clv.histories import DAYS_PER_PERIOD, Histories, group_histories
from models.clv.predicting import LEVEL, Purchases, Spend, Total, predict, spend, total_purchases

__all__ = [
    "BG_NBD",
    "CANDIDATES",
    "DAYS_PER_PERIOD",
    "LEVEL",
    "MODELS",
    "Choice",
    "CountingModel",
    "Fitted",
    "GammaGamma",
    "Histories",
    "Purchases",
    "Spend",
    "TooFewError",
    "Total",
    "blocks",
    "choose",
    "expected_purchases",
    "fit",
    "fit_gamma_gamma",
    "group_histories",
    "predict",
    "spend",
    "total_purchases",
]
