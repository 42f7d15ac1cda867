"""How tokens are written, and where they must not stand."""

import pytest

from service.access.token_text import new_token, parse_token, token_in_query


def test_new_token_is_read_back_and_shows_no_secret_by_accident():
    token = new_token()
    again = parse_token(str(token))
    assert again == token
    assert token.fits(token.secret_hash) and not new_token().fits(token.secret_hash)
    assert token.secret not in repr(token)
    assert len(str(token)) == len("acto_") + 8 + 1 + 43


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t[:-1], lambda t: t + "A", lambda t: t.replace("acto", "octo")]
)
def test_other_texts_are_no_tokens(change):
    assert parse_token(change(str(new_token()))) is None


def test_token_in_a_query_is_found_however_it_is_encoded():
    token = new_token()
    assert token_in_query(f"a=b&token={token}".encode()) == token.id
    assert token_in_query("".join(f"%{ord(sign):02x}" for sign in str(token)).encode()) == token.id
    assert token_in_query("".join(f"%25{ord(sign):02x}" for sign in str(token)).encode()) == token.id
    assert token_in_query(b"stream=str_0123456789abcdef&action=factory_floor") is None
    assert token_in_query(b"\xff%zz%") is None
