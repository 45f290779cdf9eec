"""The committed policies: nothing that no function uses, nothing without a name; and what a definition adds to them."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from chalicelib.catalog.chalice_config import chalice_files, functions_of
from chalicelib.catalog.derived import derived_permissions
from chalicelib.catalog.load import load_catalog
from chalicelib.catalog.policies import KINDS, policies_of
from chalicelib.domain.model import Catalog, CatalogTask, Pipeline, Step, Task
from chalicelib.domain.permissions import Permission, resource_arn
from infra.local.manifest import ChaliceConfig
from infra.local.policies import Call, Policy, read_policies
from tests.package.build import ROOT
from tests.package.record import record
from tests.support.calls import ADD_TO, RECORD, STAGE, add, check, read

CONFIG = ROOT / ".chalice" / "config.json"

# Allowed, and yet on no record: (policy, action, resource, why). Wildcards as in a shell.
NOT_SEEN = [
    ("*", "logs:CreateLog*", "*", "Lambda writes a function's log with the function's role"),
    ("*", "logs:PutLogEvents", "*", "the same"),
    ("*", "sqs:SendMessage", "*-dead-letters", "Lambda itself sends what failed there, with the function's role"),
    ("sweeper", "logs:PutRetentionPolicy", "*}:[*]", "CloudWatch once named a log group in this way"),
    ("api", "s3:GetObject", "*/artifacts/*", "a browser follows the link that the API has signed"),
    ("task", "lambda:InvokeFunction", "*-sweeper", "Lambda itself reports a bad end there, with the function's role"),
    ("task", "s3:AbortMultipartUpload", "*", "boto3 does this when one part of a large file cannot be uploaded"),
    ("sweeper", "lambda:GetPolicy", "*", "after a bare `chalice deploy`; the laptop knows its addresses"),
    ("sweeper", "lambda:UpdateFunctionConfiguration", "*", "the same"),
    ("sweeper", "lambda:GetFunctionConfiguration", "*-{stage}", "the same"),
]


WHEN_ASKED_FOR = [["xray:PutTraceSegments", "*"]]  # by a setting, which the stack of a test has and the committed policies have not


def policies() -> dict[str, Policy]:
    """The committed ones by name, as the laptop reads them."""
    return dict(read_policies(CONFIG, KINDS, STAGE).values())


def general(resource: str) -> str:
    return resource.replace(f"nightshift-{STAGE}", "nightshift-{stage}")


def unseen(policy: str, action: str, resource: str) -> bool:
    return any(fnmatchcase(policy, p) and fnmatchcase(action, a) and fnmatchcase(resource, r) for p, a, r, _ in NOT_SEEN)


def test_every_permission_is_used() -> None:
    recorded = read(RECORD)
    unused = [
        f"{name}: {statement.action} on {general(statement.resource)}"
        for name, policy in policies().items()
        for statement in policy.allowed
        if [statement.action, general(statement.resource)] not in recorded.get(name, [])
        and not unseen(name, statement.action, general(statement.resource))
    ]
    assert unused == [], "take them out of chalicelib/catalog/policies.py, or run: .venv/bin/python -m tests.package.record"


def test_every_recorded_call_is_allowed() -> None:
    known = policies()
    stray = [
        f"{name}: {action} on {resource}"
        for name, pairs in read(RECORD).items()
        if name in known
        for action, resource in pairs
        if [action, resource] not in WHEN_ASKED_FOR
        and not any(s.action == action and general(s.resource) == resource for s in known[name].allowed)
    ]
    assert stray == [], "run: .venv/bin/python -m tests.package.record"


@pytest.mark.proof
@pytest.mark.timeout(1800)
def test_the_record_is_what_the_tests_call(tmp_path: Path) -> None:
    assert record(tmp_path / "calls.json") == 0
    assert read(tmp_path / "calls.json") == read(RECORD)


def test_a_call_that_is_not_on_record_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADD_TO, raising=False)
    check({"api": [["dynamodb:GetItem", "arn:*:dynamodb:*:*:table/nightshift-local"]]})
    with pytest.raises(AssertionError, match=r"dynamodb:Scan on .* run: "):
        check({"api": [["dynamodb:Scan", "arn:*:dynamodb:*:*:table/nightshift-local"]]})
    add(tmp_path / "new.json", {"api": [["a:B", "*"]]})
    add(tmp_path / "new.json", {"api": [["a:B", "*"], ["a:A", "*"]]})
    assert read(tmp_path / "new.json") == {"api": [["a:A", "*"], ["a:B", "*"]]}


def test_every_function_has_a_role_of_its_own_with_a_policy_that_is_there() -> None:
    config = json.loads(CONFIG.read_text())
    assert config["autogen_policy"] is False
    for name, stage in config["stages"].items():
        functions = stage["lambda_functions"]
        assert functions.keys() == functions_of(load_catalog()).keys()
        for settings in functions.values():
            policy = CONFIG.parent / settings["iam_policy_file"]
            assert policy.is_file()
            assert policy.parent.name == name


def test_a_policy_names_its_resources_and_its_stage() -> None:
    for policy in policies_of(load_catalog(), "prod").values():
        for statement in policy["Statement"]:
            assert len(json.dumps(policy)) < 10_240  # what IAM takes of a role's own policies
            for resource in statement["Resource"]:
                if statement["Sid"] == "ListRules":
                    assert (statement["Action"], resource) == (["events:ListRules"], "*")
                elif statement["Sid"] == "Push":
                    assert resource == "arn:*:execute-api:*:*:*/api/POST/@connections/*"
                elif not statement["Sid"].startswith("Pipeline"):
                    assert "nightshift-prod" in resource
            if statement["Effect"] == "Allow":
                assert not any("*" in action for action in statement["Action"])


def test_policies_of_two_stages_share_nothing() -> None:
    one, other = (policies_of(load_catalog(), stage)["task"]["Statement"] for stage in ("blue", "green"))
    shared = {resource for statement in one for resource in statement["Resource"]} & {r for s in other for r in s["Resource"]}
    assert shared == {"arn:*:execute-api:*:*:*/api/POST/@connections/*"}


def catalog(steps: list[dict[str, Any]], **task: Any) -> Catalog:
    made = CatalogTask(id="mine", pipeline="p", function="task_mine", **task)
    return Catalog(tasks={"mine": made}, pipelines={"p": Pipeline(name="p", steps=[Step(**step) for step in steps])})


def own_statements(found: Catalog, stage: str = "dev", settings: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What the task's own policy has and the policy of all tasks has not."""
    made = policies_of(found, stage, settings)
    base = made["task"]["Statement"]
    return [statement for statement in made.get("task_mine", made["task"])["Statement"] if statement not in base]


STEP = {"processor": "echo", "config": {"message": "x"}}


def test_a_task_without_needs_of_its_own_shares_the_policy_of_all_tasks() -> None:
    assert "task_mine" not in policies_of(catalog([STEP]), "dev")


def test_permissions_and_the_stage_in_them_are_written_down() -> None:
    wanted = [{"actions": "sqs:SendMessage", "resources": ["arn:aws:sqs:*:*:orders-{stage}", "s3://data/in/*"]}]
    (statement,) = own_statements(catalog([STEP], permissions=wanted), "prod")
    assert statement["Action"] == ["sqs:SendMessage"]
    assert statement["Resource"] == ["arn:*:s3:::data/in/*", "arn:aws:sqs:*:*:orders-prod"]


def test_a_task_in_a_vpc_may_attach_to_it() -> None:
    network = {"subnet_ids": ["subnet-0a"], "security_group_ids": ["sg-0b"]}
    (statement,) = own_statements(catalog([STEP], **network))
    assert "ec2:CreateNetworkInterface" in statement["Action"]
    assert own_statements(catalog([STEP], **network), settings=network) == []  # then every function may
    assert all(any(s["Sid"] == "Network" for s in p["Statement"]) for p in policies_of(catalog([STEP]), "dev", network).values())


ENDS_RUNS = {"api", "dispatcher", "sweeper", "task"}


def traces(block: dict[str, Any], variables: dict[str, str] | None = None) -> dict[str, list[dict[str, Any]]]:
    """What the policies have for sending traces, under such settings: statements by policy."""
    found = catalog([STEP]).model_copy(update={"settings": block})
    made = policies_of(found, "dev", {"environment_variables": variables or {}})
    told = {name: [s for s in policy["Statement"] if s["Sid"].startswith("Traces")] for name, policy in made.items()}
    return {name: statements for name, statements in told.items() if statements}


def test_traces_are_allowed_to_those_who_end_runs_where_they_are_asked_for() -> None:
    assert traces({}) == {}
    for asked in (traces({"tracing": "xray"}), traces({}, {"TASK_TRACING": "xray"})):
        assert asked.keys() == ENDS_RUNS
        assert {(*s["Action"], *s["Resource"]) for statements in asked.values() for s in statements} == {
            ("xray:PutTraceSegments", "*")
        }
    assert traces({"tracing": "xray"}, {"TASK_TRACING": "none"}) == {}


def test_the_secrets_of_a_collector_may_be_read() -> None:
    headers = {"a": "Bearer ${secret:collector#key}", "b": "${secret:ssm:/otlp/key}"}
    assert traces({"tracing_headers": headers}) == {}
    found = traces({"tracing": "https://otlp.example", "tracing_headers": headers})
    assert found.keys() == ENDS_RUNS
    assert {(*s["Action"], *s["Resource"]) for s in found["task"]} == {
        ("secretsmanager:GetSecretValue", "arn:*:secretsmanager:*:*:secret:collector-??????"),
        ("ssm:GetParameter", "arn:*:ssm:*:*:parameter/otlp/key"),
    }


def test_a_bucket_and_an_api_stage_of_its_own_are_named() -> None:
    settings = {"environment_variables": {"NIGHTSHIFT_BUCKET": "my-bucket"}, "api_gateway_stage": "v1"}
    text = json.dumps(policies_of(catalog([STEP]), "dev", settings))
    assert "arn:*:s3:::my-bucket/*" in text
    assert "-files" not in text
    assert "*/v1/POST/@connections/*" in text


READ, WRITE = ["s3:GetObject"], ["s3:AbortMultipartUpload", "s3:PutObject"]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"processor": "upload", "config": {"destination": "s3://b-1/daily/{date}/"}}, {"s3:PutObject": ["b-1/daily/*/*"]}),
        ({"processor": "upload", "config": {"destination": "s3://b-1/"}}, {"s3:PutObject": ["b-1/*"]}),
        ({"processor": "copy", "config": {"source": "s3://b-1/a.csv"}}, {"s3:GetObject": ["b-1/a.csv", "b-1/a.csv/*"], "s3:ListBucket": ["b-1"]}),
        ({"processor": "copy", "config": {"source": "s3://b-1/in/*.csv"}}, {"s3:GetObject": ["b-1/in/*.csv", "b-1/in/*.csv/*"], "s3:ListBucket": ["b-1"]}),
        ({"processor": "copy", "config": {"source": "s3://${args.bucket}/x"}}, {}),
        ({"processor": "delete", "config": {"path": "s3://b-1/old/"}}, {"s3:DeleteObject": ["b-1/old/*"], "s3:ListBucket": ["b-1"]}),
        ({"processor": "http", "config": {"headers": {"key": "Bearer ${secret:api/key#token}"}}}, {"secretsmanager:GetSecretValue": ["api/key-??????"]}),
        ({"processor": "echo", "config": {"message": "$${secret:not} one"}}, {}),
        ({"processor": "move", "config": {"source": "s3://b-1/in/"}}, {"s3:DeleteObject": ["b-1/in/*"]}),
        ({"processor": "dynamodb_export", "config": {"table": "things"}}, {"dynamodb:Scan": ["table/things", "table/things/index/*"]}),
        ({"processor": "echo", "config": {"message": "${secret:ssm:/app/key}"}}, {"ssm:GetParameter": ["app/key"]}),
        ({"processor": "send_alert", "config": {"topic": "arn:aws:sns:eu-west-1:123456789012:ops"}}, {"sns:Publish": ["ops"]}),
        ({"processor": "invoke_lambda", "config": {"function": "resize"}}, {"lambda:InvokeFunction": ["resize"]}),
        ({"processor": "for_each", "config": {"steps": [{"processor": "invoke_lambda", "config": {"function": "inner"}}]}}, {"lambda:InvokeFunction": ["inner"]}),
        ({"processor": "if", "config": {"then": [{"processor": "upload", "config": {"destination": "s3://b-2/x/"}}]}}, {"s3:PutObject": ["b-2/x/*"]}),
    ],
)  # fmt: skip
def test_what_a_pipeline_says_is_permitted(step: dict[str, Any], expected: dict[str, list[str]]) -> None:
    found = derived_permissions([Step(**step)])
    given = {action: permission.resources for permission in found for action in permission.actions}
    assert {action: [r.rpartition(":")[2].removeprefix("parameter/") for r in given[action]] for action in expected} == expected
    if not expected:
        assert given == {}
    assert all(isinstance(permission, Permission) for permission in found)


@pytest.mark.parametrize(
    ("permission", "said"),
    [
        ({"actions": ["s3:GetObject"], "resources": ["*"]}, "'*' allows everything"),
        ({"actions": ["s3:*"], "resources": ["s3://b"]}, "'s3:*' allows everything"),
        ({"actions": ["GetObject"], "resources": ["s3://b"]}, "'GetObject' is no action"),
        ({"actions": ["s3:GetObject"], "resources": ["my-bucket"]}, "'my-bucket' is no resource"),
        ({"actions": ["s3:GetObject"], "resources": ["s3://b/{table}"]}, "unknown placeholder {table}"),
        ({"actions": ["s3:GetObject"]}, "Field required"),
    ],
)
def test_a_wrong_permission_says_what_would_be_right(permission: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Task(id="t", pipeline="p", permissions=[permission])


def test_everything_may_be_allowed_by_who_says_so() -> None:
    wide = {"actions": ["s3:*"], "resources": "*", "allow_wildcard": True}
    assert Task(id="t", pipeline="p", permissions=[wide]).permissions[0].resources == ["*"]
    assert resource_arn("*", "dev") == "*"


def test_config_removes_policies_and_settings_of_tasks_that_are_no_more(tmp_path: Path) -> None:
    folder = tmp_path / ".chalice"
    before = catalog([STEP], permissions=[{"actions": "sqs:SendMessage", "resources": "arn:aws:sqs:*:*:q"}], reserved_concurrency=3)
    written = chalice_files(before, folder)
    policy = folder / "policies" / "dev" / "task_mine.json"
    for path, text in written.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or "")
    assert policy in written
    after = chalice_files(catalog([STEP]), folder)
    assert after[policy] is None
    settings = json.loads(after[folder / "config.json"] or "")["stages"]["dev"]["lambda_functions"]["task_mine"]
    assert "reserved_concurrency" not in settings
    assert settings["iam_policy_file"] == "policies/dev/task.json"


def test_a_function_is_as_its_task_says() -> None:
    task = {"memory": 2048, "reserved_concurrency": 2, "environment": {"MODE": "x"}, "timeout": "10m"}
    network = {"subnet_ids": ["subnet-0a"], "security_group_ids": ["sg-0b"]}
    settings = functions_of(catalog([STEP], **task, **network))["task_mine"]
    assert settings == {
        "lambda_memory_size": 2048,
        "lambda_timeout": 660,
        "reserved_concurrency": 2,
        "environment_variables": {"MODE": "x"},
        **network,
        "tags": {"nightshift-task": "mine"},
    }


def test_a_stage_whose_name_makes_no_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"stages": {"my-stage": {}}}')
    with pytest.raises(ValueError, match="the stage 'my-stage' is not"):
        chalice_files(catalog([STEP]), tmp_path)


def test_the_laptop_reads_a_deployed_stages_files_with_names_of_its_own(tmp_path: Path) -> None:
    deployed = {"NIGHTSHIFT_BUCKET": "nightshift-dev-files-1-eu", "NIGHTSHIFT_TABLE": "nightshift-dev", "TASK_DEBUG": "true"}
    config = {"stages": {"dev": {"environment_variables": deployed}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    for path, text in chalice_files(catalog([STEP]), tmp_path).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or "")
    _, policy = read_policies(tmp_path / "config.json", ["task_runtime"], STAGE)["task_runtime"]
    assert policy.allows(Call("s3:GetObject", "arn:aws:s3:::nightshift-local-files/x"))
    assert not policy.allows(Call("s3:GetObject", "arn:aws:s3:::nightshift-dev-files-1-eu/x"))
    assert policy.allows(Call("dynamodb:PutItem", "arn:aws:dynamodb:us-east-1:123456789012:table/nightshift-local"))
    assert ChaliceConfig(tmp_path / "config.json", STAGE).env("task_runtime") == {"TASK_DEBUG": "true"}


def test_deny_wins_and_conditions_count() -> None:
    policy = Policy.read(policies_of(catalog([STEP]), "dev")["task"])
    table = "arn:aws:dynamodb:eu-west-1:123456789012:table/nightshift-dev"
    assert policy.allows(Call("dynamodb:GetItem", table, ("RUN#1",))) is False  # tasks read items by Query alone
    assert policy.allows(Call("dynamodb:UpdateItem", table, ("RUN#1",)))
    assert not policy.allows(Call("dynamodb:UpdateItem", table, ("TOKEN",)))
    assert not policy.allows(Call("dynamodb:UpdateItem", f"{table}-2", ("RUN#1",)))
    assert not policy.allows(Call("dynamodb:Query", f"{table}2/index/by_task"))
