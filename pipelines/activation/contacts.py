"""How a person can be reached: the phone or e-mail of the golden record, from the vault, at the moment of sending.

Belongs here: looking contacts up for a batch. Nothing of it is kept: not in the outbox, not in the state database.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.activation.dispatch import Contacts
from pipelines.settings import Settings
from pipelines.warehouse import open_snapshot


def contacts_of(settings: Settings) -> Contacts:
    """Look-ups in this home's vault, of the memberships that marts.golden_record names.

    Raises, when called, ConfigurationError if the vault's keys are missing or wrong.
    """

    def contacts(kind: str, customers: Sequence[str]) -> dict[str, str]:
        # Here, since only a push to a destination that asks for contacts needs the vault.
        from pipelines.activation.export_contacts import normal_contact
        from pipelines.vault import Vault

        with open_snapshot(settings) as connection:
            sources = connection.execute(
                "SELECT customer_id, source_channel, source_member FROM marts.golden_record "
                "WHERE attribute = ? AND is_valid AND customer_id IN (SELECT unnest(?))",
                [kind, list(customers)],
            ).fetchall()
        with Vault.open(settings) as vault:
            revealed = vault.reveal_members({(channel, member) for _, channel, member in sources})
        members = zip(revealed["channel"].to_pylist(), revealed["member_id"].to_pylist(), strict=True)
        values = dict(zip(members, revealed[kind].to_pylist(), strict=True))
        found = (
            (customer, normal_contact(kind, values.get((channel, member)))) for customer, channel, member in sources
        )
        return {customer: contact for customer, contact in found if contact is not None}

    return contacts
