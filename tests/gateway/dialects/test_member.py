import pytest

from visionality.gateway.dialects.member import member_of, members_of, without_member


@pytest.mark.parametrize("data", [b'{"a":1,"a":22,"b":3}', b'{"a":[1],"c":0,"a":2,"b":3}', b'{"b":1,"b":22}'])
def test_the_place_of_a_member_is_not_guessed_where_a_name_comes_twice(data):
    with pytest.raises(KeyError):
        member_of(data, members_of(data), "b")
    assert without_member(data, members_of(data), "b") == data


def test_a_member_is_found_by_its_name_and_not_by_its_spelling():
    data = b' { "a" : "b" , "\\u0062":  [ 1 ] }'
    start, value, end = member_of(data, members_of(data), "b")
    assert (data[start:value], data[value:end]) == (b'"\\u0062":  ', b"[ 1 ]")


def test_a_member_that_is_not_there_has_no_place():
    with pytest.raises(KeyError):
        member_of(b"{}", members_of(b"{}"), "a")
