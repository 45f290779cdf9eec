def test_a_long_list_is_shown_in_parts() -> None:
    from chalicelib.web.pages.tasks import _more, _page

    assert [_page(text) for text in ("", "1", "3", "yes", "0")] == [0, 1, 3, 1, 1]
    assert _more(0, 0, 20) is None
    assert _more(0, 50, 250) == {"page": 1, "text": "Show all 250"}
    assert _more(0, 800, 1000) == {"page": 1, "text": "Show 300 at a time"}
    assert _more(1, 120, 420) == {"page": 2, "text": "Show the next 120"}
