"""The platform: feeds in, one customer and one ledger, effects out."""
