"""Argon2id, two at once, the same time for every name."""

import asyncio

import pytest

from service.access import passwords as module
from service.access.passwords import AT_ONCE, MAX_WAITING, Cost, Passwords, check_password
from service.errors_base import InvalidRequest, Unavailable

CHEAP = Cost(memory_kib=8, passes=1)


def run(work, cost: Cost = CHEAP):
    """Runs ``work(passwords)``."""
    passwords = Passwords(cost)
    try:
        return asyncio.run(work(passwords))
    finally:
        passwords.close()


def test_hash_is_argon2id_with_owasps_parameters_and_a_salt_of_its_own():
    async def work(passwords: Passwords) -> tuple[str, str]:
        return await passwords.hash("correct horse"), await passwords.hash("correct horse")

    one, other = run(work, Cost())
    assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert one != other


@pytest.mark.parametrize(
    ("given", "right"),
    [("correct horse", True), ("correct hors", False), ("", False), ("Correct horse", False), ("x" * 300, False)],
)
def test_only_the_same_password_matches(given: str, right: bool):
    async def work(passwords: Passwords) -> bool:
        return await passwords.matches(given, await passwords.hash("correct horse"))

    assert run(work) is right


def test_accents_match_however_they_are_typed():
    async def work(passwords: Passwords) -> bool:
        return await passwords.matches("cafe\u0301 au lait", await passwords.hash("caf\u00e9 au lait"))

    assert run(work)


@pytest.mark.parametrize("stored", [None, "", "plain", "$argon2id$v=19$m=8,t=1,p=1$AA$AA"])
def test_nobody_and_what_is_no_hash_match_nothing(stored: str | None):
    assert run(lambda passwords: passwords.matches("correct horse", stored)) is False


def test_unknown_user_costs_the_comparison_of_a_known_one(monkeypatch: pytest.MonkeyPatch):
    compared: list[str] = []

    def note(password: str, hashed: str) -> bool:
        compared.append(hashed)
        return True

    monkeypatch.setattr(module, "_matches", note)

    async def work(passwords: Passwords) -> list[bool]:
        hashed = await passwords.hash("correct horse")
        return [await passwords.matches("correct horse", stored) for stored in (hashed, None)]

    assert run(work, Cost()) == [True, False]
    known, unknown = (text.rsplit("$", 2)[0] for text in compared)
    assert known == unknown == "$argon2id$v=19$m=19456,t=2,p=1"


def test_too_many_at_once_are_turned_away():
    async def work(passwords: Passwords) -> list[object]:
        tries = [passwords.matches("correct horse", None) for _ in range(AT_ONCE + MAX_WAITING + 3)]
        return await asyncio.gather(*tries, return_exceptions=True)

    results = run(work)
    assert sum(isinstance(result, Unavailable) for result in results) == 3
    assert results.count(False) == AT_ONCE + MAX_WAITING


@pytest.mark.parametrize(("length", "fits"), [(11, False), (12, True), (256, True), (257, False)])
def test_length_is_the_only_rule(length: int, fits: bool):
    if fits:
        check_password("a" * length)
        return
    with pytest.raises(InvalidRequest, match="12 to 256 characters") as error:
        check_password("a" * length)
    assert "aaa" not in str(error.value)
