def test_a_shared_phone_links_members_of_two_channels(lake):
    lake.member("a", phone="1")
    lake.member("b", channel="pos", phone="1")
    lake.resolve()
    assert lake.customer("a") == lake.customer("b", "pos")
