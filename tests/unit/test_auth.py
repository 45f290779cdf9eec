"""A browser's cookie changes nothing on behalf of another site."""

from __future__ import annotations

import pytest

from chalicelib.api.auth import check_origin
from chalicelib.domain.errors import ForbiddenError


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_change_by_cookie_from_another_site_or_port_is_refused(site: str) -> None:
    with pytest.raises(ForbiddenError):
        check_origin({"cookie": "nightshift_token=x", "sec-fetch-site": site}, "POST")


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"cookie": "nightshift_token=x", "sec-fetch-site": "same-origin"}, "POST"),
        ({"cookie": "nightshift_token=x", "sec-fetch-site": "cross-site"}, "GET"),
        ({"authorization": "Bearer x", "sec-fetch-site": "cross-site"}, "POST"),
        ({"cookie": "nightshift_token=x"}, "DELETE"),
    ],
)
def test_own_pages_programs_and_tokens_are_let_through(headers: dict[str, str], method: str) -> None:
    check_origin(headers, method)
