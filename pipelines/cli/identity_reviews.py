"""The review list of linkage: reading it, deciding a pair, having the model learned anew."""

from __future__ import annotations

import click

from pipelines.cli.base import HomeCommand, chosen_settings, print_dicts

COLUMNS = (
    "review_id", "state", "score", "left_customer_id", "right_customer_id", "left_member", "right_member", "evidence",
    "decided_by", "decided_at", "reason",
)  # fmt: skip
WHY = click.option("--why", default="", help="The reason, kept with the decision; no names or numbers of persons.")


@click.command(name="reviews", cls=HomeCommand)
@click.option("--state", type=click.Choice(["open", "accepted", "rejected", "all"]), default="open", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="An array of objects.")
def reviews(state: str, as_json: bool) -> None:
    """Pairs that may be one person, the likeliest first. Score: bits of evidence; 10 is 1,000 to 1."""
    from pipelines.identity.linkage.reviews import read_reviews
    from pipelines.warehouse import open_snapshot

    with open_snapshot(chosen_settings()) as connection:
        print_dicts(read_reviews(connection, None if state == "all" else state), COLUMNS, as_json)


@click.command(name="accept", cls=HomeCommand)
@click.argument("review", metavar="REVIEW")
@WHY
def accept(review: str, why: str) -> None:
    """A pair of the review list is one person."""
    _decide(review, why, is_one=True)


@click.command(name="reject", cls=HomeCommand)
@click.argument("review", metavar="REVIEW")
@WHY
def reject(review: str, why: str) -> None:
    """A pair of the review list is two persons, whatever links them later."""
    _decide(review, why, is_one=False)


@click.command(name="relearn", cls=HomeCommand)
def relearn() -> None:
    """Have the next run learn anew what each agreement weighs, and score everybody by it."""
    from pipelines.identity.linkage.memory import forget_model
    from pipelines.state import state

    with state(chosen_settings()) as engine:
        had_one = forget_model(engine)
    click.echo("The next run learns anew." if had_one else "Nothing has been learned yet; the next run will.")


def _decide(review: str, why: str, *, is_one: bool) -> None:
    from pipelines.identity import corrections
    from pipelines.identity.linkage.reviews import decide
    from pipelines.identity.rules import ACCEPT, REJECT
    from pipelines.state import state
    from pipelines.warehouse import open_snapshot

    settings = chosen_settings()
    with open_snapshot(settings) as connection, state(settings) as engine:
        made = decide(
            engine,
            connection,
            review,
            ACCEPT if is_one else REJECT,
            why=corrections.without_personal_data(why),
            who=corrections.operator(),
        )
    click.echo(
        f"{made.name}: {' and '.join(str(key) for key in (*made.left, *made.right))} "
        f"{'are one customer' if is_one else 'stay two customers'} from the next run on. "
        f"To take it back: omnilake identity undo {made.name}"
    )


REVIEW_COMMANDS = (reviews, accept, reject, relearn)
"""Commands of the group `identity`."""
