"""The persons of the awkward landing: who is one and who is not, and values that nobody may find again."""

from __future__ import annotations

from tests.support.landing_files import NOON, Landing, a_line, a_member, an_order

SECRET = "Geheim"
"""Begins every text planted where personal data may stand; no file of a home may hold it."""

SECRET_PHONES = ["13911112222", "13911113333", "13911114444", "13911115555", "13911116666"]
"""Numbers planted where they may not be found again."""


def write_persons(landing: Landing) -> None:
    """Memberships that are one person and such that are not, and orders of members and guests."""
    landing.json_lines(
        "web/members/1.jsonl",
        [
            a_member("phone", phone="+86 138-1234-5678", name="王一"),
            a_member("mail", email=" Some.One@Example.com "),
            a_member("union", wechat_unionid="u-1"),
            a_member("zero_one", phone="13800000000"),
            a_member("masked", phone="138****1234"),
            a_member("clerk_friend", phone="13722220000"),
            a_member("seven", phone="13733330007"),
            a_member("other", phone="13744440001"),
            a_member("gone", phone="13755550001"),
            a_member("gone", phone="13755550001", deleted=True, updated_at="2026-06-02T00:00:00Z"),
            a_member("mother", phone="13766660001", name="李梅", birthday="1970-01-01", gender="female"),
            a_member("former", phone="13777770001", name="赵六", updated_at="2024-01-01T00:00:00Z"),
            a_member("A1", device_ids=["dev-1"]),
            a_member("a1", device_ids=["dev-1"]),
            a_member("+86 137 8888 0001"),
            *(a_member(f"hub{n}", phone="13799990001") for n in range(11)),
            *(a_member(f"few{n}", phone="13799990002") for n in range(10)),
        ],
    )
    landing.json_lines(
        "app/members/1.jsonl",
        [
            a_member("phone", phone="１３８１２３４５６７８"),
            a_member("mail", email="SOME.ONE@example.com"),
            a_member("zero_one", phone="13800000000"),
            a_member("masked", phone="138****1234"),
            a_member("clerk_friend", phone="137 2222 0000"),
            a_member("007", phone="13733330008"),
            a_member("gone", phone="13755550001", updated_at="2026-06-03T00:00:00Z"),
            a_member("son", phone="13766660001", name="李强", birthday="2000-05-05", gender="male"),
            a_member("latter", phone="13777770001", name="孙七", updated_at="2026-06-01T00:00:00Z"),
            a_member("13788880001", name="钱八"),
        ],
    )
    landing.json_lines(
        "mini_a/members/1.jsonl", [a_member("o", wechat_openid="same"), a_member("union", wechat_unionid="u-1")]
    )
    landing.json_lines("mini_b/members/1.jsonl", [a_member("o", wechat_openid="same")])
    landing.json_lines(
        "_shared/staff/1.jsonl", [{"staff_id": "s", "updated_at": NOON, "phone": "13722220000", "name": "店员"}]
    )
    landing.json_lines(
        "web/orders/persons.jsonl",
        [
            an_order("p_gift", a_line(price="20"), member_id="other", guest_phone="13733330007"),
            an_order("p_guest", a_line(price="20"), guest_phone="13733330007"),
            an_order("p_stranger", a_line(price="20"), guest_phone="13733339999"),
            an_order("p_device", a_line(price="20"), device_id="dev-1"),
            an_order("p_masked", a_line(price="20"), guest_phone="137****9999"),
            an_order("p_never", a_line(price="20"), member_id="never_delivered"),
            an_order("p_gone", a_line(price="20"), member_id="gone"),
            an_order("p_by_phone", a_line(price="20"), member_id="13788880001"),
        ],
    )
    landing.json_lines(
        "web/points/1.jsonl",
        [{"entry_id": "1", "member_id": "13788880001", "occurred_at": NOON, "delta": "5", "reason": "earn"}],
    )


def write_personal_data(landing: Landing) -> None:
    """Text that nobody may find again, in every place where it may stand."""
    landing.json_lines(
        "web/members/secret.jsonl",
        [
            a_member(
                "secretive",
                phone=SECRET_PHONES[0],
                email=f"{SECRET}1@example.com",
                wechat_unionid=f"{SECRET}2",
                wechat_openid=f"{SECRET}3",
                alipay_uid=f"{SECRET}4",
                qq_openid=f"{SECRET}5",
                card_no=f"{SECRET}6",
                device_ids=[f"{SECRET}7"],
                name=f"{SECRET}8",
                birthday="1987-07-13",
                address=f"{SECRET}9",
                attributes={f"{SECRET}key": f"{SECRET}10"},
                unheard_of=f"{SECRET}11",
            ),
            a_member("bad", updated_at=f"{SECRET}12", name=f"{SECRET}13", phone=SECRET_PHONES[1]),
            f'{{"member_id": "cut", "name": "{SECRET}14',
            a_member(SECRET_PHONES[2], points_balance=f"{SECRET}15"),
        ],
        3,
    )
    landing.json_lines(
        "web/orders/secret.jsonl",
        [
            an_order(
                "s1",
                guest_phone=SECRET_PHONES[3],
                guest_email=f"{SECRET}20@example.com",
                guest_openid=f"{SECRET}21",
                device_id=f"{SECRET}22",
                note={"to": f"{SECRET}23"},
            ),
            an_order("s2", member_id=SECRET_PHONES[4]),
            an_order("s3", status=f"{SECRET}24", guest_phone=SECRET_PHONES[3]),
            an_order("s4", a_line(price=f"{SECRET}25")),
        ],
        2,
    )
    landing.json_lines(
        "web/events/secret.jsonl",
        [
            {
                "event_id": "s",
                "occurred_at": NOON,
                "type": "search",
                "query": f"{SECRET}30",
                "anonymous_id": f"{SECRET}31",
                "device_id": f"{SECRET}32",
                "member_id": SECRET_PHONES[4],
                "properties": {"a": f"{SECRET}33"},
            },
        ],
    )
    landing.json_lines(
        "web/reviews/secret.jsonl",
        [
            {"review_id": "s", "created_at": NOON, "rating": 4, "text": f"{SECRET}40"},
            {"review_id": "t", "created_at": NOON, "rating": f"{SECRET}41", "text": f"{SECRET}42"},
        ],
        1,
    )
    landing.write(
        "web/members/secret.csv",
        f"member_id,updated_at,name\n{SECRET}50,{SECRET}51,{SECRET}52,{SECRET}53\n".encode(),
        1,
        1,
    )
