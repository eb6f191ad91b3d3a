"""Made-up records of persons in shapes that linkage must cope with, each with its truth.

Every set differs from the public ones in language, errors, columns or number of records a person. Nothing in the linker
knows of them. The same seed gives the same records.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

_ENGLISH_GIVEN = (
    "james mary robert patricia john jennifer michael linda david elizabeth william barbara richard "
    "susan joseph jessica thomas sarah charles karen christopher lisa daniel nancy matthew "
    "betty anthony sandra mark margaret donald ashley "
    "steven kimberly andrew emily paul donna joshua michelle kenneth carol kevin amanda brian melissa george deborah"
).split()
_STEMS = "har mor wil tho mc ber gal pet lan fos gre hol mar ric sto war bel cam dun ell fer gor hud jen kir".split()
_ENDINGS = "ris ton son mas ley man ford well ner lin ter dale wood bury gan sey".split()
_SPANISH_GIVEN = (
    "José María Lucía Íñigo Sofía Martín Begoña Andrés Inés Raúl Nuria Óscar Mónica Jesús Ángela Tomás".split()
)
_SPANISH_SURNAMES = (
    "García Muñoz Núñez Ibáñez Peña Gómez Sáez López Yáñez Martínez Hernández Jiménez Álvarez Cañizares".split()
)
_CHINESE_SURNAMES = [*"王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高", "欧阳", "司马"]
_CHINESE_GIVEN = list("雨欣子涵梓晨思佳悦宁安然嘉怡浩宇轩博文诗琪若曦可心语彤俊杰明哲静雅慧敏晓芸云帆")
_CHINESE_CITIES = "上海 北京 广州 深圳 杭州 成都 武汉 南京 西安 重庆".split()
_CITIES = "leeds york bath derby exeter durham oxford lincoln chester carlisle preston swansea dundee perth".split()
_JOBS = "nurse teacher driver cook clerk farmer engineer lawyer plumber tailor".split()
_LETTERS = "abcdefghijklmnopqrstuvwxyz"

Record = dict[str, str | None]


def _typo(text: str, rng: np.random.Generator) -> str:
    """One slip of a finger."""
    place = int(rng.integers(len(text)))
    drawn = _LETTERS[rng.integers(26)] if not text[place].isdigit() else str(rng.integers(10))
    match int(rng.integers(4)):
        case 0:
            return text[:place] + text[place + 1 :]
        case 1:
            return text[:place] + drawn + text[place:]
        case 2:
            return text[:place] + drawn + text[place + 1 :]
        case _:
            return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


def _spoil(record: Record, rng: np.random.Generator, typos: float, gaps: float) -> Record:
    return {
        field: None if value is None or rng.random() < gaps else _typo(value, rng) if rng.random() < typos else value
        for field, value in record.items()
    }


def _birthday(rng: np.random.Generator, first: int = 1940, years: int = 65) -> str:
    return f"{first + rng.integers(years)}-{rng.integers(1, 13):02}-{rng.integers(1, 29):02}"


def _english(rng: np.random.Generator) -> Record:
    given = str(rng.choice(_ENGLISH_GIVEN))
    surname = f"{rng.choice(_STEMS)}{rng.choice(_ENDINGS)}"
    return {
        "given_name": given,
        "surname": surname,
        "birthday": _birthday(rng),
        "city": str(rng.choice(_CITIES)),
        "postcode": f"{rng.integers(1000, 2500)}",
        "email": f"{given}.{surname}{rng.integers(100)}@{rng.choice(['mail.com', 'post.org', 'web.net'])}",
        "phone": f"07{rng.integers(10**8, 10**9)}",
        "address": f"{rng.integers(1, 200)} {rng.choice(_STEMS)}{rng.choice(_ENDINGS)} road",
        "gender": str(rng.choice(["m", "f"])),
        "occupation": str(rng.choice(_JOBS)),
    }


def _table(records: list[tuple[int, Record]], rng: np.random.Generator) -> pa.Table:
    order = rng.permutation(len(records))
    fields = sorted({field for _, record in records for field in record})
    columns = {field: [records[row][1].get(field) for row in order] for field in fields}
    return pa.table({"truth": [str(records[row][0]) for row in order]} | columns)


def families(size: int, seed: int = 1, typos: float = 0.06) -> pa.Table:
    """Two to five persons share surname, address, phone, postcode and city; each has one to three records."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    person = 0
    while len(records) < size:
        home = _english(rng)
        for _ in range(int(rng.integers(2, 6))):
            own = _english(rng)
            member = home | {field: own[field] for field in ("given_name", "birthday", "gender")}
            del member["email"], member["occupation"]
            for _ in range(int(rng.integers(1, 4))):
                records.append((person, _spoil(member, rng, typos, 0.05)))
            person += 1
    return _table(records, rng)


def sparse(size: int, seed: int = 2) -> pa.Table:
    """Each of ten fields is missing in four records of ten."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    for person in range(size // 2):
        whole = _english(rng)
        records += [(person, _spoil(whole, rng, 0.05, 0.4)) for _ in range(int(rng.integers(1, 4)))]
    return _table(records, rng)


def crowded(size: int, seed: int = 3) -> pa.Table:
    """One to twenty-five records a person, one value in six mistyped; names, birthday, city and e-mail."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    person = 0
    while len(records) < size:
        known = {field: value for field, value in _english(rng).items() if field in _CROWDED}
        records += [(person, _spoil(known, rng, 0.16, 0.1)) for _ in range(int(rng.integers(1, 26)))]
        person += 1
    return _table(records, rng)


_CROWDED = frozenset({"given_name", "surname", "birthday", "city", "email"})


def strangers(size: int, seed: int = 4) -> pa.Table:
    """Nobody stands there twice, though names, birthdays and cities often meet."""
    rng = np.random.default_rng(seed)
    records = []
    for person in range(size):
        whole = _english(rng)
        whole["birthday"] = _birthday(rng, 1985, 8)
        records.append(
            (person, {field: whole[field] for field in ("given_name", "surname", "birthday", "city", "postcode")})
        )
    return _table(records, rng)


def chinese(size: int, seed: int = 5) -> pa.Table:
    """Whole Chinese names, some in pinyin or full width; phones, birthdays and genders in several spellings."""
    from pypinyin import lazy_pinyin

    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    for person in range(size // 2):
        surname = str(rng.choice(_CHINESE_SURNAMES))
        given = "".join(rng.choice(_CHINESE_GIVEN, int(rng.integers(1, 3))))
        phone = f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}"
        born = _birthday(rng, 1960, 45)
        year, month, day = born.split("-")
        woman = bool(rng.random() < 0.5)
        for _ in range(int(rng.integers(1, 4))):
            sound = " ".join(("".join(lazy_pinyin(surname)), "".join(lazy_pinyin(given))))
            wrong = surname + "".join(rng.choice(_CHINESE_GIVEN, len(given)))
            name = surname + given if rng.random() < 0.8 else str(rng.choice([sound, sound.title(), wrong]))
            told = str(
                rng.choice(
                    [phone, f"+86 {phone[:3]} {phone[3:7]} {phone[7:]}", f"{phone[:3]}****{phone[7:]}", _wide(phone)]
                )
            )
            dated = str(
                rng.choice(
                    [born, f"{year}年{int(month)}月{int(day)}日", f"{year}/{int(month)}/{int(day)}", year + month + day]
                )
            )
            record: Record = {
                "name": name,
                "phone": told if rng.random() < 0.7 else None,
                "birthday": dated if rng.random() < 0.7 else None,
                "gender": str(rng.choice(["女", "F", "female"] if woman else ["男", "M", "male"])),
                "city": str(rng.choice(_CHINESE_CITIES)) if rng.random() < 0.2 else _CHINESE_CITIES[person % 10],
            }
            records.append((person, record))
    return _table(records, rng)


def chinese_families(size: int, seed: int = 7) -> pa.Table:
    """One to four relatives share surname, phone, city and address; each has one to three records, nobody errs."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    person = 0
    while len(records) < size:
        phone, city = f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}", str(rng.choice(_CHINESE_CITIES))
        home: Record = {"city": city, "address": f"{city}市人民路{rng.integers(1, 999)}号"}
        surname = str(rng.choice(_CHINESE_SURNAMES))
        for _ in range(int(rng.integers(1, 5))):
            own: Record = home | {
                "name": surname + "".join(rng.choice(_CHINESE_GIVEN, 2)),
                "birthday": _birthday(rng, 1960, 55),
                "gender": str(rng.choice(["男", "女"])),
            }
            for _ in range(int(rng.integers(1, 4))):
                shown = phone if rng.random() < 0.8 else f"{phone[:3]}****{phone[7:]}"
                records.append((person, _spoil(own | {"phone": shown}, rng, 0.0, 0.15)))
            person += 1
    return _table(records, rng)


def placeholders(size: int, seed: int = 8) -> pa.Table:
    """Where a name, phone or birthday was not given, the till wrote "WeChat user", its own number, 1900-01-01."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    for person in range(size // 2):
        name = str(rng.choice(_CHINESE_SURNAMES)) + "".join(rng.choice(_CHINESE_GIVEN, int(rng.integers(1, 3))))
        phone, born = f"1{rng.integers(3, 10)}{rng.integers(10**8, 10**9)}", _birthday(rng, 1960, 45)
        for _ in range(int(rng.integers(1, 4))):
            record: Record = {
                "name": name if rng.random() < 0.8 else "微信用户",
                "phone": phone if rng.random() < 0.7 else "13800000000",
                "birthday": born if rng.random() < 0.8 else "1900-01-01",
            }
            records.append((person, record))
    return _table(records, rng)


def one_column(size: int, seed: int = 9) -> pa.Table:
    """E-mail addresses alone, one in five mistyped."""
    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    for person in range(size // 2):
        known = {"email": _english(rng)["email"]}
        records += [(person, _spoil(known, rng, 0.2, 0.0)) for _ in range(int(rng.integers(1, 4)))]
    return _table(records, rng)


def _wide(text: str) -> str:
    return "".join(chr(ord(character) + 0xFEE0) for character in text)


def spanish_pair(size: int, seed: int = 6) -> pa.Table:
    """Two sources: one with accents, one in capitals without, surname first; half of the persons are in both."""
    import unicodedata

    rng = np.random.default_rng(seed)
    records: list[tuple[int, Record]] = []
    for person in range(size * 2 // 3):
        first = str(rng.choice(_SPANISH_SURNAMES))
        given = str(rng.choice(_SPANISH_GIVEN))
        if rng.random() < 0.4:
            given = f"{given} {rng.choice(_SPANISH_GIVEN)}"
        born = _birthday(rng)
        year, month, day = born.split("-")
        common: Record = {"postcode": f"{rng.integers(28001, 28055)}", "occupation": str(rng.choice(_JOBS))}
        if rng.random() < 0.75:
            records.append((person, common | {"name": f"{given} {first}", "birthday": f"{day}/{month}/{year}"}))
        if rng.random() < 0.75:
            bare = unicodedata.normalize("NFKD", f"{first}, {given}").encode("ascii", "ignore").decode().upper()
            spoilt = _spoil(common | {"name": bare, "birthday": born}, rng, 0.08, 0.05)
            records.append((person, spoilt))
    return _table(records, rng)


SETS: dict[str, Callable[[int], pa.Table]] = {
    "families": families,
    "sparse": sparse,
    "crowded": crowded,
    "strangers": strangers,
    "chinese": chinese,
    "spanish_pair": spanish_pair,
    "chinese_families": chinese_families,
    "placeholders": placeholders,
    "one_column": one_column,
}
