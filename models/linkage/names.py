"""Names and text of any script in one spelling.

Belongs here: folding a value (width, case, accents), splitting a whole name, pinyin. Each function works on one value;
callers pass distinct values only. Does not belong here: birthdays, phones.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

_COMPOUND_SURNAMES = frozenset(
    "欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 东方 東方 皇甫 尉迟 尉遲 公孙 公孫 慕容 令狐 司徒 司空 夏侯 长孙 長孫 宇文 "
    "独孤 獨孤 南宫 南宮 端木 百里 东郭 東郭 呼延 轩辕 軒轅 闻人 聞人 澹台 澹臺 钟离 鍾離 太史 申屠 鲜于 鮮于".split()
)
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_IS_HAN = re.compile(f"[{_HAN}]")
_TITLES = frozenset("mr mrs ms miss dr prof sir jr sr 先生 女士 小姐 太太".split())
_HONORIFIC = re.compile(r"(先生|女士|小姐|太太)$")


def fold(text: str) -> str:
    """One width, one case, no accents; letters, digits and single spaces remain. "Ｊｏｓé  O'Hara" is "jose ohara"."""
    wide = unicodedata.normalize("NFKC", text).casefold()
    bare = "".join(_bare(character) for character in wide)
    return " ".join(bare.split())


@cache
def _bare(character: str) -> str:
    """A character without its accents; nothing for an apostrophe, a space for other signs."""
    if character in "'’`´":
        return ""
    letters = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    return "".join(part if part.isalnum() else " " for part in letters)


def has_han(text: str) -> bool:
    """Whether any Chinese character is in the text."""
    return _IS_HAN.search(text) is not None


def pinyin(text: str) -> str:
    """Chinese characters as pinyin without tones, everything else as it is, no spaces."""
    return "".join(_syllable(character) for character in text if character != " ")


@cache
def _syllable(character: str) -> str:
    if not _IS_HAN.match(character):
        return character
    from pypinyin import lazy_pinyin

    return lazy_pinyin(character, v_to_u=False)[0]


def split_name(whole: str) -> tuple[str, str]:
    """(given name, surname) of a whole name, folded; either may be empty.

    A Chinese name begins with its surname; "Last, First" says so by its comma; else the last word is the surname. Where
    that guess is wrong ("Wang Xiaoming"), the comparison of swapped names makes good for it.
    """
    last, comma, first = unicodedata.normalize("NFKC", whole).partition(",")
    if comma and fold(first):
        return fold(first).replace(" ", ""), fold(last).replace(" ", "")
    words = [word for word in fold(whole).split() if word not in _TITLES]
    if not words:
        return "", ""
    if has_han(words[0]) and len(words) == 1:
        name = _HONORIFIC.sub("", words[0]) or words[0]
        size = 2 if name[:2] in _COMPOUND_SURNAMES and len(name) > 2 else 1
        return name[size:], name[:size]
    if has_han(words[0]):
        return "".join(words[1:]), words[0]
    if len(words) == 1:
        return words[0], ""
    return "".join(words[:-1]), words[-1]
