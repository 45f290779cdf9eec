"""What each function of a deployment may do in AWS: one IAM policy for each kind of function, nothing that it does not use.

A task's function has the policy of its kind, or, with permissions of its own, another one that adds those. Account and region are
left open: a role acts in its own account only, and names carry the stage.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chalicelib.catalog.derived import derived_permissions, secret_needs
from chalicelib.catalog.pipelines import all_steps
from chalicelib.domain.model import Catalog, CatalogTask
from chalicelib.domain.permissions import Permission, resource_arn

Statement = dict[str, Any]
Policy = dict[str, Any]

TASK = "task"
KINDS = {
    "api_handler": "api",
    "websocket_connect": "websocket",
    "websocket_message": "websocket",
    "websocket_disconnect": "websocket",
    "follow": "follow",
    "dispatcher": "dispatcher",
    "sweeper": "sweeper",
    "task_runtime": TASK,
}
"""Function -> the name of its policy."""

READ = ["dynamodb:GetItem", "dynamodb:Query"]
WRITE = ["dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
MANY = "dynamodb:BatchGetItem"
ADDRESSES = ["lambda:GetFunctionConfiguration", "lambda:GetPolicy", "lambda:UpdateFunctionConfiguration"]
DOORS = ("api", "websocket")
ENDS_RUNS = ("api", "dispatcher", "sweeper", TASK)
BUCKET_SUFFIX = "-files-${aws:PrincipalAccount}-*"  # a bucket's name is the world's: it ends in account and region
SECRET_PARTITIONS = ["SECRET", "TOKEN"]

VPC_ACTIONS = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
]


def policies_of(catalog: Catalog, stage: str, settings: Mapping[str, Any] | None = None) -> dict[str, Policy]:
    """Every policy of a stage by its name. `settings` are the stage's in config.json: a bucket, an API stage, a VPC of its own."""
    settings = settings or {}
    names = _Names(stage, settings, catalog.settings)
    in_vpc = bool(settings.get("subnet_ids"))
    everybody = [_vpc()] if in_vpc else []
    policies = {kind: _document(names.statements(kind) + everybody) for kind in sorted(set(KINDS.values()))}
    for task in catalog.tasks.values():
        own = _own(catalog, task, stage) + ([] if in_vpc or not task.subnet_ids else [_vpc()])
        if own:
            policies[task.function] = _document(names.statements(TASK) + everybody + own)
    return policies


def policy_name(function: str, policies: Collection[str]) -> str:
    """The name of a function's policy, among those that there are."""
    return KINDS.get(function) or (function if function in policies else TASK)


def _document(statements: list[Statement]) -> Policy:
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(sid: str, actions: list[str], *resources: str) -> Statement:
    return {"Sid": sid, "Effect": "Allow", "Action": sorted(actions), "Resource": sorted(resources)}


class _Names:
    """The statements over the resources of one stage."""

    def __init__(self, stage: str, settings: Mapping[str, Any], block: Mapping[str, Any]) -> None:
        variables = settings.get("environment_variables", {})
        told = {name: variables.get(f"TASK_{name.upper()}", block.get(name)) for name in ("metrics", "tracing", "tracing_headers")}
        self.metrics, self.tracing = told["metrics"] or "none", told["tracing"] or "none"
        self.tracing_headers = str(told["tracing_headers"] or "")
        app, api_stage = f"nightshift-{stage}", settings.get("api_gateway_stage", "api")
        bucket = variables.get("NIGHTSHIFT_BUCKET") or app + BUCKET_SUFFIX
        self.table = f"arn:*:dynamodb:*:*:table/{app}"
        self.bucket = f"arn:*:s3:::{bucket}"
        self.topic = f"arn:*:sns:*:*:{app}-alerts"
        self.dead_letters = f"arn:*:sqs:*:*:{app}-dead-letters"
        self.api = f"arn:*:lambda:*:*:function:{app}"
        self.function = f"{self.api}-"
        self.rule = f"arn:*:events:*:*:rule/{app}-wake-*"
        self.logs = f"arn:*:logs:*:*:log-group:/aws/lambda/{app}"
        self.connections = f"arn:*:execute-api:*:*:*/{api_stage}/POST/@connections/*"

    def statements(self, kind: str) -> list[Statement]:
        logs = [self.logs, f"{self.logs}:*"] if kind == "api" else [f"{self.logs}-*"]
        log = _allow("Logs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], *logs)
        found: list[Statement] = getattr(self, f"_{kind}")()
        if kind in ENDS_RUNS:
            found += self._traces()
        return [log, *found, *([] if kind in DOORS else [self._no_tokens()])]

    def _api(self) -> list[Statement]:
        return [
            self._items(*READ, *WRITE, MANY),
            self._indexes(),
            self._invoke(f"{TASK}_*"),
            self._push(),
            _allow("Uploads", ["s3:PutObject"], f"{self.bucket}/uploads/*"),
            _allow("Artifacts", ["s3:GetObject"], f"{self.bucket}/artifacts/*"),
        ]

    def _websocket(self) -> list[Statement]:
        return [self._items(*READ, *WRITE), self._invoke("follow"), self._push()]

    def _follow(self) -> list[Statement]:
        return [self._items(*READ, "dynamodb:UpdateItem"), self._push(), self._dead_letters()]

    def _dispatcher(self) -> list[Statement]:
        tells = [] if self.metrics == self.tracing == "none" else [MANY]  # of runs that a newer one replaces
        items = self._items(*READ, *WRITE, *tells)
        return [items, self._indexes(), self._invoke(f"{TASK}_*"), self._push(), self._dead_letters()]

    def _sweeper(self) -> list[Statement]:
        asynchronous = [self.function + name for name in (f"{TASK}_*", "dispatcher", "follow", "sweeper")]
        return [
            self._items(*READ, *WRITE, MANY),
            self._indexes(),
            self._invoke(f"{TASK}_*"),
            self._push(),
            self._alerts(),
            self._dead_letters(),
            _allow("ReportEnds", ["lambda:PutFunctionEventInvokeConfig"], *asynchronous),
            _allow("LongChains", ["lambda:PutFunctionRecursionConfig"], f"{self.function}{TASK}_*", f"{self.function}sweeper"),
            _allow("Addresses", ADDRESSES, self.api, f"{self.function}*"),
            _allow("LetRulesWake", ["lambda:AddPermission"], f"{self.function}dispatcher"),
            _allow("Rules", ["events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"], self.rule),
            _allow("ListRules", ["events:ListRules"], "*"),  # which knows no narrower resource
            _allow("KeepLogs", ["logs:CreateLogGroup", "logs:PutRetentionPolicy"], self.logs, f"{self.logs}:*", f"{self.logs}-*"),
        ]

    def _task(self) -> list[Statement]:
        return [
            self._items("dynamodb:Query", *WRITE, MANY),
            self._indexes(),
            self._invoke(f"{TASK}_*", "sweeper"),  # the sweeper hears of a process that ends badly
            self._push(),
            _allow("Files", ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"], f"{self.bucket}/*"),
            _allow("ListFiles", ["s3:ListBucket"], self.bucket),
            self._alerts(),
        ]

    def _items(self, *actions: str) -> Statement:
        return _allow("Items", list(actions), self.table)

    def _indexes(self) -> Statement:
        return _allow("Indexes", ["dynamodb:Query"], f"{self.table}/index/*")

    def _invoke(self, *functions: str) -> Statement:
        return _allow("Invoke", ["lambda:InvokeFunction"], *(self.function + name for name in functions))

    def _push(self) -> Statement:
        return _allow("Push", ["execute-api:ManageConnections"], self.connections)

    def _traces(self) -> list[Statement]:
        """For who ends runs: X-Ray, or the secrets that a collector's headers refer to."""
        if self.tracing == "xray":
            return [_allow("Traces", ["xray:PutTraceSegments"], "*")]  # which knows no narrower resource
        needs = enumerate(secret_needs(self.tracing_headers) if self.tracing != "none" else (), 1)
        return [_allow(f"Traces{number}", actions, *resources) for number, (actions, resources) in needs]

    def _alerts(self) -> Statement:
        return _allow("Alerts", ["sns:Publish"], self.topic)

    def _dead_letters(self) -> Statement:
        return _allow("DeadLetters", ["sqs:SendMessage"], self.dead_letters)

    def _no_tokens(self) -> Statement:
        """Login tokens and the key of tickets are for the doors alone; a task's code could otherwise let itself in."""
        condition = {"ForAnyValue:StringEquals": {"dynamodb:LeadingKeys": SECRET_PARTITIONS}}
        return {"Sid": "NoTokens", "Effect": "Deny", "Action": ["dynamodb:*"], "Resource": [self.table], "Condition": condition}


def _vpc() -> Statement:
    return _allow("Network", VPC_ACTIONS, "*")  # as AWSLambdaVPCAccessExecutionRole has it


def _own(catalog: Catalog, task: CatalogTask, stage: str) -> list[Statement]:
    """What a task says that it needs, and what its pipeline says."""
    written = [_statement("Own", number, permission, stage) for number, permission in enumerate(task.permissions, 1)]
    derived = derived_permissions(all_steps(catalog.pipelines[task.pipeline]))
    return written + [_statement("Pipeline", number, permission, stage) for number, permission in enumerate(derived, 1)]


def _statement(sid: str, number: int, permission: Permission, stage: str) -> Statement:
    resources = {resource_arn(resource, stage) for resource in permission.resources}
    return _allow(f"{sid}{number}", sorted(set(permission.actions)), *resources)
