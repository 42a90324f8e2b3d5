"""Tokens in parents' addresses: each kind opens its own door only, and nothing in them can be rewritten."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NotFoundError
from core.tokens import FamilyLinks, FirstPaymentToken

LINKS = FamilyLinks("https://club.test", ["a made-up key"])
ids = st.integers(min_value=1, max_value=2**63 - 1)


def first_payment_token(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


@given(ids, ids, ids, st.booleans())
def test_a_first_payment_token_says_what_was_put_in(tenant: int, player: int, payer: int, prorate: bool) -> None:
    url = LINKS.first_payment_url(tenant, player, payer, prorate=prorate)
    assert parse_qs(urlsplit(url).query)["prorate"] == [str(prorate).lower()]
    assert LINKS.read_first_payment(first_payment_token(url)) == FirstPaymentToken(tenant, player, payer, prorate)


@given(ids, ids)
def test_no_kind_passes_for_another(tenant: int, subject: int) -> None:
    pay = LINKS.pay_url(tenant, subject).rpartition("/")[2]
    family = LINKS.balance_url(tenant, subject).rpartition("/")[2]
    first = first_payment_token(LINKS.first_payment_url(tenant, subject, 1))
    assert LINKS.read_pay(pay) == LINKS.read_balance(family) == (tenant, subject)
    for read, others in (
        (LINKS.read_pay, (family, first)),
        (LINKS.read_balance, (pay, first)),
        (LINKS.read_first_payment, (pay, family)),
    ):
        for token in others:
            with pytest.raises(NotFoundError):
                read(token)


@given(st.text(max_size=60))
def test_what_we_did_not_sign_is_unknown(typed: str) -> None:
    for read in (LINKS.read_pay, LINKS.read_balance, LINKS.read_first_payment):
        with pytest.raises(NotFoundError):
            read(typed)


@given(st.data())
def test_a_changed_token_is_unknown(data: st.DataObject) -> None:
    token = first_payment_token(LINKS.first_payment_url(1, 2, 3, prorate=False))
    place = data.draw(st.integers(min_value=0, max_value=len(token) - 1))
    other = data.draw(st.sampled_from("Aa0-_.~%"))
    changed = token[:place] + other + token[place + 1 :]
    # The last sign of a signature holds a few bits that mean nothing.
    if changed != token and place < len(token) - 1:
        with pytest.raises(NotFoundError):
            LINKS.read_first_payment(changed)


def test_another_key_signs_other_tokens() -> None:
    token = first_payment_token(FamilyLinks("https://club.test", ["another key"]).first_payment_url(1, 2, 3))
    with pytest.raises(NotFoundError):
        LINKS.read_first_payment(token)
