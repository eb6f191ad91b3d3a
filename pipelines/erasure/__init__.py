"""Erasing a person everywhere, keeping them erased, and telling them what is known of them."""
