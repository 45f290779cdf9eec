"""A secret is hidden however it is written."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from chalicelib.domain.masking import Masker

SECRET = 'p@ss/w"örd+ 1\\'


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        repr(SECRET),
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").replace("%2F", "%2f").replace("%C3%B6", "%c3%b6").replace("%2B", "%2b").replace("%5C", "%5c"),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
    ],
)
def test_a_secret_is_hidden_as_it_is_and_in_disguise(written: str) -> None:
    masker = Masker([SECRET])
    hidden = masker.hide(f"login with {written}, please")
    assert hidden.startswith("login with ")
    assert "***" in hidden
    assert written not in hidden
    assert "ss" not in hidden.removeprefix("login with ").removesuffix(", please").replace("please", "")


def test_each_line_of_a_secret_is_hidden_but_short_ones() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMIIEvQIBADANBg\nabc\n-----END KEY-----\n"])
    assert masker.hide("read MIIEvQIBADANBg") == "read ***"
    assert masker.hide("abc") == "abc"
    assert masker.hide("-----BEGIN KEY-----\r") == "***\r"


def test_secrets_that_overlap_are_hidden_as_one() -> None:
    assert Masker(["abcd", "cdef"]).hide("x abcdef y abcd") == "x *** y ***"
    assert Masker(["hunter2", "hunter2-and-more"]).hide("hunter2-and-more hunter2") == "*** ***"
    assert Masker(["aa"]).hide("aaa") == "***"


def test_structures_are_hidden_with_keys_and_numbers() -> None:
    masker = Masker(["hunter2", "48151"])
    value = {"hunter2": ["is hunter2", 48151, 48.5, True, None, ("hunter2",)]}
    assert masker.hide_in(value) == {"***": ["is ***", "***", 48.5, True, None, ["***"]]}


def test_a_short_secret_is_hidden_as_it_is_alone() -> None:
    masker = Masker(["ab", ""])
    assert masker.hide("ab YWI=") == "*** YWI="


def test_half_characters_do_no_harm() -> None:
    masker = Masker(["caf\ud800 x"])
    assert masker.hide("caf\ud800 x") == "***"
