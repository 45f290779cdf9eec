"""References are parsed and nothing more; what is malformed is told with its column."""

from __future__ import annotations

import pytest

from chalicelib.domain.references import MalformedReferenceError, Reference, parse, texts_in

GOOD = [
    ("plain", ("plain",)),
    ("", ()),
    ("${args.day}", (Reference("args", ("day",)),)),
    ("${run.id}", (Reference("run", ("id",)),)),
    ("a ${args.x} b", ("a ", Reference("args", ("x",), column=3), " b")),
    ("${args.x}${args.y}", (Reference("args", ("x",)), Reference("args", ("y",), column=10))),
    ("${steps.dump-2.output.files[0].name}", (Reference("steps", ("dump-2", "output", "files", 0, "name")),)),
    ("${steps.rotate/0/compress.output}", (Reference("steps", ("rotate/0/compress", "output")),)),
    ('${steps["my dump"].output}', (Reference("steps", ("my dump", "output")),)),
    ("${previous['a.b'][-1]}", (Reference("previous", ("a.b", -1)),)),
    ("${item}", (Reference("item"),)),
    ("${args.x|}", (Reference("args", ("x",), ""),)),
    ("${args.x|a: b | c}", (Reference("args", ("x",), "a: b | c"),)),
    ("${secret:db}", (Reference("secret", ("db",)),)),
    ("${secret:prod/db#password}", (Reference("secret", ("prod/db#password",)),)),
    ("${secret:ssm:/app/key}", (Reference("secret", ("ssm:/app/key",)),)),
    ("${secret:arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbC}", None),
    ("$${args.x}", ("${args.x}",)),
    ("$${a} ${args.x}", ("${a} ", Reference("args", ("x",), column=7))),
    ("$5 and $HOME", ("$5 and $HOME",)),
    ("{date}", ("{date}",)),
]
BAD = [
    ("${", 1, "never closed"),
    ("copy ${args.x", 6, "never closed"),
    ("${}", 1, "names nothing"),
    ("${ args.x}", 1, "does not begin with a name"),
    ("${1}", 1, "does not begin with a name"),
    ("${args..x}", 7, "'..x'"),
    ("${args.x y}", 9, "' y'"),
    ("${args[x]}", 7, "'[x]'"),
    ("${len(args)}", 6, "'(args)'"),
    ("${args.x + 1}", 9, "is not understood"),
    ("${secret:}", 1, "the secret has no name"),
    ("${secret:ssm:}", 1, "the secret has no name"),
    ("${secret:#key}", 1, "cannot be the name"),
    ("${secret:a b}", 1, "cannot be the name"),
    ("${secret:db|hunter2}", 1, "a secret has no fallback"),
    ("${env:HOME}", 1, "only secrets have a colon"),
    ("${args.${args.y}}", 1, "cannot hold another one"),
]


@pytest.mark.parametrize(("text", "parts"), GOOD, ids=[text for text, _ in GOOD])
def test_a_text_is_its_pieces_and_references(text: str, parts: tuple[object, ...] | None) -> None:
    found = parse(text)
    assert parts is None or found == parts
    written = "".join(p.replace("${", "$${") if isinstance(p, str) else "${" + str(p) + _fallback(p) + "}" for p in found)
    assert written.replace("'", '"') == text.replace("'", '"')


def _fallback(reference: Reference) -> str:
    return "" if reference.default is None else f"|{reference.default}"


@pytest.mark.parametrize(("text", "column", "why"), BAD, ids=[text for text, _, _ in BAD])
def test_a_malformed_reference_is_told_with_its_column(text: str, column: int, why: str) -> None:
    with pytest.raises(MalformedReferenceError) as raised:
        parse(text)
    assert str(raised.value).startswith(f"column {column}: ")
    assert why in str(raised.value)


def test_texts_are_found_in_lists_mappings_and_keys() -> None:
    value = {"a": ["x", "${args.a}"], "b": {"${args.k}": {"gt": "${args.b}"}}, "n": 3, "escaped": "$${x}"}
    assert list(texts_in(value)) == [
        (("a", 1), "${args.a}"),
        (("b", "${args.k}"), "${args.k}"),
        (("b", "${args.k}", "gt"), "${args.b}"),
        (("escaped",), "$${x}"),
    ]
