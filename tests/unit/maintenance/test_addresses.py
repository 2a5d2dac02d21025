"""Which addresses and numbers are the same, and which are none."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calcom_pipeline.domain.addresses import canonical, canonical_number, forms_of, is_address, numbers_in

ZOE, ZOE_ASCII = "zoë.müller@exämple.org", "zoë.müller@xn--exmple-cua.org"


@pytest.mark.parametrize(
    "address",
    [
        "carol@example.org",
        "sean.o'neil@example.ie",
        "jane+box@example.co.uk",
        "a_b-c@x-y.example",
        "carol@mail.internal.example",
        "ada@firma.local",  # names of a company's own network
        "ada@shop.test",
        ZOE,
        ZOE_ASCII,
        "用户@例子.公司",
        "a&b/c=d?e^f`g{h|i}j~k!l#m$n%o*@x.de",
    ],
)
def test_what_somebody_may_have_is_an_address(address: str):
    assert is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "@", "carol", "carol@", "@example.org", "carol@example", "carol@@example.org", "a@b@example.org"),
        *("carol @example.org", "carol@exa mple.org", "carol..x@example.org", ".carol@example.org", "carol@-x.org"),
        *("carol@.local", "carol@local", "carol@localhost"),
        *("Carol <carol@example.org>", "carol@[127.0.0.1]", "carol@example.org,dan@example.org", "carol@x..org"),
        *("carol@example.org\n", "x" * 65 + "@example.org", "carol@" + "x" * 64 + ".org", "carol@example.org."),
    ],
)
def test_what_nobody_can_have_is_none(text: str):
    assert not is_address(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("carol@example.org", " Carol@Example.ORG "),
        (ZOE, ZOE_ASCII),
        (ZOE, ZOE.upper()),
        (ZOE, unicodedata.normalize("NFD", ZOE)),
        (ZOE_ASCII, unicodedata.normalize("NFD", ZOE).title()),
        ("a@straße.de", "A@xn--strae-oqa.de"),
        ("a@例子.公司", "a@xn--fsqu00a.xn--55qx5d"),
        ("a@例子。公司", "a@例子.公司"),
        ("+4930123456", "+49 (0)30 123-456"),
        ("+4930123456", "0049 30/123456"),
        ("+4930123456", " +49.30.123.456 "),
        ("+4930123456", "4930123456@SMS.cal.com"),  # Cal.com gives who has no address this one
    ],
)
def test_these_are_the_same(one: str, other: str):
    assert canonical(one) == canonical(other)
    assert canonical(one) in forms_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("carol@example.org", "carol@example.com"),
        ("zoe@exämple.org", "zoë@exämple.org"),
        ("zoë@exämple.org", "zoë@example.org"),
        ("a@strasse.de", "a@straße.de"),
        ("+4930123456", "+4930123457"),
        ("+4930123456", "4930123456@example.org"),
        ("jane+box@example.org", "jane@example.org"),
    ],
)
def test_these_are_not(one: str, other: str):
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize("text", ["", "nobody", "12345", "+49", "1" * 16, "+49 30 x 123456", "2026", "a@b.example"])
def test_what_is_no_number_with_its_country_code(text: str):
    assert canonical_number(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", False),
        ("tel:+4930123456", True),
        ("call +49 (0)30 123-456, please", True),
        ("call 0049 30 123456 10-12 h", True),
        ("+49 30\n123456", True),
        ("4930123456", True),
        ("+49301234567", False),
        ("x4930123456", False),
        ("+1 4930123456", True),  # it might be a list without commas
        ("2026-12-01T10:00:00.000Z", False),
    ],
)
def test_numbers_are_found_in_any_text(text: str, found: bool):
    assert ("+4930123456" in numbers_in([text])) is found


@given(st.text(max_size=60))
def test_any_text_has_one_form_that_stays_what_it_is(text: str):
    assert canonical(canonical(text)) == canonical(text)
    assert canonical(text) in forms_of(text)
    assert isinstance(is_address(text), bool)
