"""From decisions to effects: campaigns, the outbox, sending, receipts and exports."""
