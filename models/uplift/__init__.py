"""Uplift: what an experiment did, whom it worked on, and whether it can bear either claim."""

from models.uplift.assessment import Assessment, UpliftSettings, assess
from models.uplift.covariates import encode_covariates

__all__ = ["Assessment", "UpliftSettings", "assess", "encode_covariates"]
