"""Tags as one text: our prefix, the name and the value, within what a platform's tags may hold.

Belongs here: a repeatable way from a tag to its label, so that what we set is found again and nothing of others is
ever touched. Does not belong here: tags of platforms that keep name and value apart.
"""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from pipelines.destinations.protocol import Tag

_DIGEST = 8


def label(prefix: str, tag: Tag, *, forbidden: str = ",", characters: int = 255, size: int = 0) -> str:
    """`prefix` name=value. Control characters, outer blanks, % and the `forbidden` characters are percent-encoded; a
    label longer than `characters` (or than `size` bytes of UTF-8, if given) is cut, and a digest of the whole keeps it
    apart from its like.

    Raises ValueError if the platform can't hold even the prefix and a digest.
    """
    body = f"{tag.name}={tag.value}"
    outer = len(body) - len(body.rstrip(" "))
    whole = prefix + "".join(
        quote(one, safe="") if one in forbidden or one == "%" or not one.isprintable() else one
        for one in body.rstrip(" ")
    )
    whole += "%20" * outer
    if _fits(whole, characters, size):
        return whole
    digest = "~" + hashlib.sha256(whole.encode()).hexdigest()[:_DIGEST]
    cut = whole[: max(characters - len(digest), 0)]
    while cut and not _fits(cut + digest, characters, size):
        cut = cut[:-1]
    if len(cut) < len(prefix):
        raise ValueError(f"the prefix {prefix!r} leaves no room for the name of a tag")
    return cut + digest


def _fits(text: str, characters: int, size: int) -> bool:
    return len(text) <= characters and (not size or len(text.encode()) <= size)
