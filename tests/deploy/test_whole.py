"""All of deploying, at length: the project's own tasks, a real pip, two stages, a bare `chalice deploy`, data that is kept."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.local.wire import Request, Response, as_json
from tests.deploy.conftest import Checkout, make_checkout, seed_layer
from tests.deploy.dump import dump, is_nothing, of_stage
from tests.support.aws_server import AwsServer, run_aws_server

pytestmark = pytest.mark.proof


@pytest.fixture
def fresh(tmp_path: Path) -> Checkout:
    """A clean copy, and an account of its own."""
    with run_aws_server() as account:
        checkout = make_checkout(tmp_path / "checkout", account)
        seed_layer(checkout)
        yield checkout


def same_but_for_redeployment(state: dict[str, dict[str, object]]) -> str:
    """A dump without what each `chalice deploy` makes anew: layer versions, and the numbers of WebSocket routes."""
    return re.sub(r"managed-layer:\d+", "managed-layer:N", json.dumps(state, sort_keys=True, default=str))


def test_two_stages_do_not_see_each_other(fresh: Checkout) -> None:
    account = fresh.account
    fresh.deploy("one")
    one = dump(account)
    fresh.deploy("two", "--no-monitoring")
    both = dump(account)
    assert of_stage(both, "one") == of_stage(one, "one") == one
    planned = fresh.nightshift("deploy", "--stage", "one", "--plan")
    assert (planned["changes"], planned["code"]) == ([], False)  # the other's files are not its own
    two = of_stage(both, "two")
    assert "nightshift-one" not in json.dumps(two, default=str)
    assert not two["dashboards"]
    assert {k: len(v) for k, v in two.items() if k != "dashboards"} == {k: len(v) for k, v in one.items() if k != "dashboards"}
    fresh.nightshift("destroy", "--stage", "two", "--yes")
    assert dump(account) == one
    fresh.nightshift("destroy", "--stage", "one", "--yes")
    assert is_nothing(dump(account))


def test_deploying_by_force_replaces_the_code_and_nothing_else(fresh: Checkout) -> None:
    fresh.deploy("one")
    before = same_but_for_redeployment(dump(fresh.account))
    fresh.deploy("one", "--force")
    assert same_but_for_redeployment(dump(fresh.account)) == before


def test_changed_code_and_tasks_are_planned_and_deployed(fresh: Checkout) -> None:
    fresh.deploy("one")
    tasks = fresh.folder / "chalicelib" / "tasks" / "few.yaml"
    tasks.write_text(tasks.read_text().replace("id: other", "id: another").replace('"0 2 * * *"', '"30 3 * * *"'))
    planned = fresh.nightshift("deploy", "--stage", "one", "--plan")
    told = {(change["action"], change["kind"]) for change in planned["changes"]}
    assert told == {("add", "function"), ("remove", "function"), ("add", "rule"), ("remove", "rule")}
    assert "nightshift-one-task_another" not in dump(fresh.account)["functions"]
    fresh.deploy("one")
    state = dump(fresh.account)
    assert "nightshift-one-task_another" in state["functions"]
    assert "nightshift-one-task_other" not in state["functions"]
    assert "cron(30 3 * * ? *)" in {rule["ScheduleExpression"] for rule in state["rules"].values()}
    assert fresh.nightshift("deploy", "--stage", "one", "--plan")["changes"] == []


def test_a_plan_changes_nothing_in_the_account(fresh: Checkout) -> None:
    planned = fresh.nightshift("deploy", "--stage", "one", "--plan")
    assert {"Table", "Bucket", "Topic", "DeadLetters", "sweeper", "task_daily"} <= {c["name"] for c in planned["changes"]}
    assert is_nothing(dump(fresh.account))


def test_data_that_is_kept_is_there_at_the_next_deploy(fresh: Checkout) -> None:
    account = fresh.account
    token = fresh.deploy("one")["token"]
    bucket = dump(account)["stacks"]["nightshift-one"]["outputs"]["Bucket"]
    account.client("s3").put_object(Bucket=bucket, Key="artifacts/a", Body=b"kept")
    fresh.nightshift("destroy", "--stage", "one", "--yes", "--keep-data")
    left = {kind for kind, things in dump(account).items() if things}
    assert left == {"stacks", "tables", "buckets", "topics", "queues"}
    again = fresh.deploy("one", "--monitoring")
    assert token
    assert again["token"] == ""  # the old one lets in
    assert account.client("s3").get_object(Bucket=bucket, Key="artifacts/a")["Body"].read() == b"kept"
    assert len(dump(account)["functions"]) == 10
    fresh.nightshift("destroy", "--stage", "one", "--yes")
    assert is_nothing(dump(account))


def test_a_bare_chalice_deploy_is_enough_after_provisioning_once(fresh: Checkout) -> None:
    account = fresh.account
    fresh.nightshift("provision", "--stage", "one")
    assert dump(account)["functions"] == {}
    fresh.chalice("deploy", "--stage", "one")
    state = dump(account)
    assert not [name for name in state["rules"] if "-wake-" in name]
    # The next minute: the sweeper, in the environment that its function has.
    variables = state["functions"]["nightshift-one-sweeper"]["Environment"]["Variables"]
    assert "NIGHTSHIFT_API_URL" not in variables
    sweep = f"import os; os.environ.update({variables!r}); import app; print(app.sweeper({{}}, None))"
    fresh.run("-c", sweep)
    state = dump(account)
    assert len([name for name in state["rules"] if "-wake-" in name]) == 2
    (api,) = state["rest apis"]
    for name, function in state["functions"].items():
        assert function["Environment"]["Variables"]["NIGHTSHIFT_API_URL"].startswith(f"https://{api}."), name
    assert state["invoke configs"]["nightshift-one-task_daily"]["MaximumRetryAttempts"] == 0
    # `nightshift deploy` finds nothing to change but the addresses in config.json, which the next `chalice deploy` keeps.
    fresh.deploy("one")
    fresh.chalice("delete", "--stage", "one")
    fresh.nightshift("destroy", "--stage", "one", "--yes")
    assert is_nothing(dump(account))


def test_a_destroy_that_was_interrupted_is_finished_by_the_next(fresh: Checkout) -> None:
    fresh.deploy("one")
    fresh.account.client("cloudformation").delete_stack(StackName="nightshift-one")
    fresh.account.client("iam").create_role(RoleName="nightshift-one-deployer", AssumeRolePolicyDocument="{}")
    (fresh.folder / ".chalice" / "deployed" / "one.json").unlink()
    fresh.nightshift("destroy", "--stage", "one", "--yes")
    left = dump(fresh.account)
    assert list(left.pop("roles")) == ["nightshift-one-deployer"]  # not ours, though it begins alike
    assert is_nothing(left)
    assert not fresh.nightshift("destroy", "--stage", "one", "--yes")["removed"]


def test_the_project_itself_deploys_with_libraries_from_pip(tmp_path: Path) -> None:
    with run_aws_server() as account:
        checkout = make_checkout(tmp_path / "checkout", account, tasks=None)
        checkout.deploy("dev", "--arch", "x86_64")
        state = dump(account)
        config = checkout.config()["stages"]["dev"]["lambda_functions"]
        for name, wanted in config.items():
            there = state["functions"]["nightshift-dev" if name == "api_handler" else f"nightshift-dev-{name}"]
            assert (there["MemorySize"], there["Timeout"]) == (wanted["lambda_memory_size"], wanted["lambda_timeout"])
        checkout.nightshift("destroy", "--stage", "dev", "--yes")
        assert is_nothing(dump(account))


class Interrupted:
    """An account whose Nth change meets an error, once."""

    def __init__(self, account: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        answer = account.handle

        def handle(request: Request) -> Response:
            if request.method in ("PUT", "POST", "PATCH", "DELETE") and not _only_asks(request):
                self.left -= 1
                if self.left == 0:
                    return as_json(400, {"message": "the line is cut"}, {"x-amzn-ErrorType": "Cut"})
            return answer(request)

        monkeypatch.setattr(account, "handle", handle)


def _only_asks(request: Request) -> bool:
    """Whether a POST merely reads."""
    said = request.headers.get("x-amz-target", "").rpartition(".")[2].encode() + b" " + request.body[:200]
    return any(word in said for word in (b"Query", b"GetItem", b"Describe", b"List", b"GetCaller", b"Action=Get", b"Action=List"))


@pytest.mark.parametrize("at", [1, 2, 12, 25, 33, 38, 41, 44, 47, 50, 53, 56, 60, 70, 80, 90])
def test_a_deploy_that_was_interrupted_anywhere_is_finished_by_the_next(
    fresh: Checkout, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    line = Interrupted(fresh.account, monkeypatch)
    line.left = at
    command = ("-m", "chalicelib.cli", "deploy", "--stage", "one", "--no-check", "--yes")
    fresh.run(*command, fails=True)
    assert line.left <= 0, f"a deploy has fewer than {at} changes"
    fresh.run(*command)
    state = dump(fresh.account)
    assert len(state["functions"]) == len(state["roles"]) == 10
    assert (len(state["rest apis"]), len(state["websocket apis"]), len(state["rules"])) == (1, 1, 3)
    assert fresh.nightshift("deploy", "--stage", "one", "--plan")["changes"] == []
    fresh.nightshift("destroy", "--stage", "one", "--yes")
    assert is_nothing(dump(fresh.account))
