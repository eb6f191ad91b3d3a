"""What comes in: the landing contract, validation, quarantine and replay."""
