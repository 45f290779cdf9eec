"""A stage's life, by the commands as people type them: deployed, deployed again from another machine, removed."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import Any

import pytest

from tests.deploy.conftest import Checkout
from tests.deploy.dump import dump, is_nothing
from tests.support.aws_server import AwsServer

OWN = {"dispatcher", "follow", "sweeper", "task_runtime", "websocket_connect", "websocket_disconnect", "websocket_message"}
SIZES = {"": (512, 30), "-sweeper": (256, 120), "-task_daily": (512, 360), "-task_other": (512, 120), "-task_runtime": (512, 900)}


@dataclass
class Life:
    """What the commands said, and the account after each."""

    first: Any
    after_first: dict[str, Any]
    again: Any
    after_again: dict[str, Any]
    remembered: dict[str, Any]
    at_last: dict[str, Any]


@pytest.fixture(scope="module")
def life(checkout: Checkout, account: AwsServer) -> Life:
    first = checkout.deploy("one")
    after_first = dump(account)
    memory = checkout.folder / ".chalice" / "deployed" / "one.json"
    remembered = json.loads(memory.read_text())
    # Another machine: the same commit, and nothing that the first command wrote.
    shutil.rmtree(memory.parent)
    config = checkout.config()
    del config["stages"]["one"]
    (checkout.folder / ".chalice" / "config.json").write_text(json.dumps(config))
    again = checkout.deploy("one")
    after_again = dump(account)
    found = json.loads(memory.read_text())
    checkout.nightshift("destroy", "--stage", "one", "--yes")
    return Life(first, after_first, again, after_again, {"before": remembered, "found": found}, dump(account))


def test_every_function_is_there_with_its_size_role_layer_and_environment(life: Life) -> None:
    functions = life.after_first["functions"]
    assert functions.keys() == {"nightshift-one"} | {f"nightshift-one-{name}" for name in OWN | {"task_daily", "task_other"}}
    (layer,) = life.after_first["layers"]
    for name, function in functions.items():
        role = "nightshift-one-api_handler" if name == "nightshift-one" else name
        assert function["Role"] == f"arn:aws:iam::123456789012:role/{role}"
        assert role in life.after_first["roles"]
        assert [used["Arn"] for used in function["Layers"]] == [layer]
        variables = function["Environment"]["Variables"]
        assert variables["NIGHTSHIFT_TABLE"] == "nightshift-one"
        assert variables["NIGHTSHIFT_BUCKET"] == "nightshift-one-files-123456789012-us-east-1"
        assert variables["NIGHTSHIFT_TOPIC_ARN"].endswith(":nightshift-one-alerts")
        assert variables["NIGHTSHIFT_API_URL"] == life.first["api_url"]
        assert variables["NIGHTSHIFT_WEBSOCKET_URL"] == life.first["websocket_url"]
        assert variables["NIGHTSHIFT_CONNECTIONS_ENDPOINT"] == life.first["websocket_url"].replace("wss:", "https:").rstrip("/")
    sizes = {
        name: (functions[f"nightshift-one{name}"]["MemorySize"], functions[f"nightshift-one{name}"]["Timeout"]) for name in SIZES
    }
    assert sizes == SIZES


def test_the_apis_are_there_and_may_call_their_functions(life: Life) -> None:
    from chalicelib.api.routes import ROUTES
    from chalicelib.web.routes import PAGES

    ((api, rest),) = life.after_first["rest apis"].items()
    assert life.first["api_url"] == f"https://{api}.execute-api.us-east-1.amazonaws.com/api"
    assert {route.path.rstrip("/") or "/" for route in (*ROUTES, *PAGES)} <= {path.rstrip("/") or "/" for path in rest["routes"]}
    assert rest["stages"] == ["api"]
    assert ":function:nightshift-one/" in rest["calls"]
    ((name, socket),) = life.after_first["websocket apis"].items()
    assert set(socket["routes"]) == {"$connect", "$default", "$disconnect"}
    assert ":function:nightshift-one-websocket_connect/" in socket["routes"]["$connect"]
    websocket = name.split()[1]
    let_in = life.after_first["policies"]
    assert let_in["nightshift-one"] == [("apigateway.amazonaws.com", f"arn:aws:execute-api:us-east-1:123456789012:{api}/*")]
    for function in ("connect", "message", "disconnect"):
        ((_, source),) = let_in[f"nightshift-one-websocket_{function}"]
        assert source == f"arn:aws:execute-api:us-east-1:123456789012:{websocket}/*"


def test_the_rules_wake_the_dispatcher_and_the_sweeper_and_may(life: Life) -> None:
    rules = life.after_first["rules"]
    wakes = {name: rule for name, rule in rules.items() if "-wake-" in name}
    assert sorted(rule["ScheduleExpression"] for rule in wakes.values()) == ["cron(*/5 * * * ? *)", "cron(0 2 * * ? *)"]
    for rule in wakes.values():
        (target,) = rule["targets"]
        assert target["Arn"].endswith(":function:nightshift-one-dispatcher")
    assert rules["nightshift-one-sweeper-event"]["ScheduleExpression"] == "rate(1 minute)"
    let_in = life.after_first["policies"]
    assert let_in["nightshift-one-dispatcher"] == [
        ("events.amazonaws.com", "arn:aws:events:us-east-1:123456789012:rule/nightshift-one-wake-*")
    ]
    assert let_in["nightshift-one-sweeper"] == [
        ("events.amazonaws.com", "arn:aws:events:us-east-1:123456789012:rule/nightshift-one-sweeper-event")
    ]


def test_lambda_repeats_no_attempt_tells_the_sweeper_and_guards_no_chain(life: Life) -> None:
    configs, loops = life.after_first["invoke configs"], life.after_first["recursion"]
    for task in ("daily", "other", "runtime"):
        config = configs[f"nightshift-one-task_{task}"]
        assert config["MaximumRetryAttempts"] == 0
        assert config["DestinationConfig"]["OnFailure"]["Destination"].endswith(":function:nightshift-one-sweeper")
        assert loops[f"nightshift-one-task_{task}"] == "Allow"
    assert loops["nightshift-one-sweeper"] == "Allow"
    for own in ("dispatcher", "sweeper", "follow"):
        queue = configs[f"nightshift-one-{own}"]["DestinationConfig"]["OnFailure"]["Destination"]
        assert queue.endswith(":nightshift-one-dead-letters")
    assert set(life.after_first["logs"].values()) == {30}
    assert life.after_first["logs"].keys() == {f"/aws/lambda/{name}" for name in life.after_first["functions"]}


def test_the_first_token_is_shown_once_and_stored_as_a_hash(life: Life) -> None:
    assert len(life.first["token"]) > 30
    items = life.after_first["tables"]["nightshift-one"]
    assert sum('"TOKEN"' in item for item in items) == 1
    assert life.first["token"] not in json.dumps(life.after_first)
    assert life.again["token"] == ""


def test_deploying_again_from_another_machine_changes_nothing(life: Life) -> None:
    assert life.first["changed"]
    assert not life.again["changed"]
    assert life.again["synced"] == []
    assert life.after_again == life.after_first


def test_what_chalice_remembers_is_found_in_the_account_when_it_is_lost(life: Life) -> None:
    before, found = ({r["name"]: r for r in state["resources"]} for state in life.remembered.values())
    assert found == before


def test_a_destroyed_stage_leaves_nothing(life: Life, checkout: Checkout) -> None:
    assert is_nothing(life.at_last)
    assert "one" not in checkout.config()["stages"]
    assert not (checkout.folder / ".chalice" / "deployed" / "one.json").exists()
