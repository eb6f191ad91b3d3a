"""Values as numbers that nobody without the home's key can look up.

Belongs here: hashing what records say under a secret, in memory. What comes out may be kept in the warehouse and in
state; what goes in may not.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa

from pipelines.keys import Keys


def hashed(keys: Keys, table: pa.Table, space: str, text: str) -> pa.Table:
    """The table with column `text` replaced by `key` (uint64): 64 bits of SHA-256 over the secret, space and text.

    space: a column that tells apart what the text is of, so that equal texts of two rules or columns don't meet.
    """
    connection = duckdb.connect()
    try:
        connection.execute("set temp_directory = ''")
        connection.execute("set enable_progress_bar = false")
        # A variable, not a literal: no secret in a statement, so none in a log or an error message.
        connection.execute("set variable secret = ?", [keys.token("linkage", "blocking keys")])
        connection.register("given", table)
        return connection.execute(f"""
            select
                * exclude ("{text}"),
                ('0x' || left(sha256(concat_ws(chr(31), getvariable('secret'), "{space}", "{text}")), 16))::ubigint
                    as key
            from given""").to_arrow_table()
    finally:
        connection.close()
