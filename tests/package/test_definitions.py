"""What a task says about its own function, wrongly: refused with file, line and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.catalog.compile import compile_catalog
from chalicelib.domain.errors import DefinitionErrors

PIPELINE = "pipelines:\n  - name: p\n    processors: [{echo: {message: x}}]\n"


@pytest.mark.parametrize(
    ("keys", "line", "key", "said"),
    [
        ('permissions: [{actions: "s3:GetObject", resources: "*"}]', 4, "permissions[0]", "'*' allows everything"),
        ('permissions: [{action: "s3:GetObject", resources: "s3://b"}]', 4, "permissions[0].action", "did you mean 'actions'?"),
        ('permissions: [{actions: "s3:GetObject", resources: "b"}]', 4, "permissions[0].resources", "'b' is no resource"),
        ("environment: {AWS_REGION: x}", 4, "environment", "'AWS_REGION' is not a task's to set"),
        ("environment: {1st: x}", 4, "environment", "'1st' is no name of a variable"),
        ("ephemeral_storage: 100", 4, "ephemeral_storage", "greater than or equal to 512"),
        ("reserved_concurrency: 0", 4, "reserved_concurrency", "greater than or equal to 1"),
        ("subnet_ids: [subnet-0a]", 2, "", "subnet_ids and security_group_ids go together"),
        ("subnet_ids: [vpc-1]", 4, "subnet_ids", "'vpc-1' is not like subnet-0a1b2c3d"),
    ],
)
def test_a_wrong_key_is_refused_where_it_stands(tmp_path: Path, keys: str, line: int, key: str, said: str) -> None:
    tasks = tmp_path / "chalicelib" / "tasks"
    tasks.mkdir(parents=True)
    (tasks / "__init__.py").touch()
    (tasks / "mine.yaml").write_text(f"tasks:\n  - id: mine\n    pipeline: p\n    {keys}\n{PIPELINE}")
    with pytest.raises(DefinitionErrors) as caught:
        compile_catalog(tmp_path)
    problem = caught.value.problems[0]
    assert (problem.file, problem.line) == ("chalicelib/tasks/mine.yaml", line)
    assert problem.key == f"tasks[0].{key}".rstrip(".")
    assert said in f"{problem.message} {problem.hint}"
    assert not (tmp_path / ".chalice").exists()
