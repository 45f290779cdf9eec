"""Deploying a stage: compile, provision, `chalice deploy`, sync, a first token. Each step may be done again."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.catalog.compile import compile_catalog
from chalicelib.domain.clock import now_ms
from chalicelib.domain.model import Catalog, CatalogTask
from chalicelib.engine.addresses import API, API_STAGE, WEBSOCKET, find_addresses
from chalicelib.engine.services import Services

from . import application, stack
from .config import read_stage, stage_variables, write_stage
from .inventory import take_inventory
from .plan import Plan, plan_deploy
from .stage import DeployError, Stage, until

ROLE_PATIENCE = 90.0  # seconds
Told = Callable[[str], None]
LIBRARIES = "chalicelib/web/static/vendor"
DEPLOYED = "deployed"  # under which the table remembers the fingerprint


@dataclass
class Wishes:
    """What the command was asked for. None: as it was, or the template's default."""

    architecture: str | None = None
    monitoring: bool | None = None
    alert_email: str | None = None
    force: bool = False


@dataclass
class Deployed:
    """What there is to show afterwards.

    `token`: the first one, made now; stored nowhere but as a hash. `streams`: whether the WebSocket lets anybody in.
    """

    api_url: str = ""
    websocket_url: str = ""
    token: str = ""
    synced: list[str] = field(default_factory=list)
    changed: bool = False
    streams: bool = True


def prepare(stage: Stage, wishes: Wishes) -> tuple[Catalog, Plan]:
    """Compile, and see what would change; nothing in the account has. The plan is to be carried out or discarded.

    Raises DeployError, DefinitionErrors.
    """
    if not any((stage.project / LIBRARIES).glob("*.mjs")):
        raise DeployError(f"{LIBRARIES} is empty, so the deployed pages would not work: make node_modules/.nightshift-pages")
    settings = read_stage(stage.project, stage.name)
    # The stage has to stand in the file before its functions and policies can be compiled into it.
    if not settings or wishes.architecture:
        write_stage(stage, {}, wishes.architecture)
    _write_environment(stage, stack.outputs(stage))
    catalog = compile_catalog(stage.project).catalog
    found = take_inventory(stage)
    application.remember(stage, found)
    planned = stack.plan_stack(stage, _parameters(stage, catalog, wishes))
    try:
        tasks, code = _tasks_and_code(stage, catalog)
        return catalog, plan_deploy(stage, catalog, tasks, planned, found, code or wishes.force)
    except BaseException:
        stack.discard(stage, planned)
        raise


def provision(stage: Stage, plan: Plan, told: Told) -> None:
    """Make or change the stack, and write down what the functions have to know of it."""
    stack.apply(stage, plan.stack, told)
    _write_environment(stage, stack.outputs(stage))


def deploy(stage: Stage, plan: Plan, told: Told) -> Deployed:
    """Everything that the plan says, and the sync. Nothing in it is done twice by doing it again."""
    before = application.fingerprint(stage)
    provision(stage, plan, told)
    done = Deployed(changed=not plan.is_empty)
    if plan.code or application.fingerprint(stage) != before:
        application.chalice(stage, "deploy", told)
        _write_environment(stage, stack.outputs(stage))
    told("sync")
    with stage_services(stage) as services:
        done.synced = _sync(services)
        _remember_fingerprint(stage, services)
        done.token = _first_token(services)
        done.streams = services.settings.websocket_enabled
        done.api_url, done.websocket_url = services.settings.api_url, services.settings.websocket_url
    return done


@contextlib.contextmanager
def stage_services(stage: Stage) -> Iterator[Services]:
    """The services that a function of the stage would have, with the credentials of this process."""
    from chalicelib.bootstrap import services
    from chalicelib.catalog.load import forget

    variables = read_stage(stage.project, stage.name).get("environment_variables", {})
    before = dict(os.environ)
    os.environ.update(variables)
    os.environ["NIGHTSHIFT_CATALOG"] = str(stage.project / "chalicelib" / "catalog.json")
    forget()
    services.cache_clear()
    try:
        yield services()
    finally:
        os.environ.clear()
        os.environ.update(before)
        services.cache_clear()
        forget()


def _sync(services: Services) -> list[str]:
    from chalicelib.engine.addresses import complete_functions
    from chalicelib.engine.sync import storage_of, sync

    done: list[str] = []

    def synced() -> bool:
        """Whether it went through. IAM takes a moment until it knows what a new role may, and Lambda asks it."""
        try:
            done.extend(sync(services))
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidParameterValueException" or "role" not in str(error):
                raise
            return False
        return True

    until(synced, ROLE_PATIENCE, "what a new role may do")
    complete_functions(services, storage_of(services))
    return done


def _parameters(stage: Stage, catalog: Catalog, wishes: Wishes) -> dict[str, str]:
    from chalicelib.settings import load_settings

    kept = str(load_settings(catalog.settings, {}).retention_days)
    return {"Stage": stage.name, "RetentionDays": kept, **_wished(wishes)}


def _wished(wishes: Wishes) -> dict[str, str]:
    found: dict[str, str] = {}
    if wishes.monitoring is not None:
        found["Monitoring"] = "on" if wishes.monitoring else "off"
    if wishes.alert_email is not None:
        found["AlertEmail"] = wishes.alert_email
    return found


def _write_environment(stage: Stage, outputs: dict[str, str]) -> None:
    """The stage's environment into the file, as far as it is known: the addresses exist after the first deploy only."""
    if not outputs:
        return
    api_stage = read_stage(stage.project, stage.name).get("api_gateway_stage", API_STAGE)
    addresses = find_addresses(stage.client("lambda"), stage.prefix, api_stage)
    if write_stage(stage, {**stage_variables(stage, outputs, api_stage), **addresses}):
        compile_catalog(stage.project)


def _tasks_and_code(stage: Stage, catalog: Catalog) -> tuple[list[CatalogTask], bool]:
    """(all tasks with what was changed of them at run time, whether the deployed code is another)."""
    if not read_stage(stage.project, stage.name).get("environment_variables", {}).get("NIGHTSHIFT_TABLE"):
        return list(catalog.tasks.values()), True
    from chalicelib.store.sync import synced_digests

    with stage_services(stage) as services:
        try:
            code = synced_digests(services.table).get(DEPLOYED) != application.fingerprint(stage)
            return list(services.registry.tasks().values()), code
        except services.table.client.exceptions.ResourceNotFoundException:
            return list(catalog.tasks.values()), True


def _remember_fingerprint(stage: Stage, services: Services) -> None:
    from chalicelib.store.sync import note_synced, synced_digests

    note_synced(services.table, DEPLOYED, application.fingerprint(stage), synced_digests(services.table).get(DEPLOYED, ""))


def _first_token(services: Services) -> str:
    """A token for the first who comes; nothing when there are tokens already."""
    from chalicelib.store.tokens import list_tokens, put_token

    if list_tokens(services.table):
        return ""
    token = secrets.token_urlsafe(32)
    put_token(services.table, token, "first", now_ms())
    return token


def addresses(stage: Stage) -> dict[str, Any]:
    """{variable: address} of the deployed APIs. Raises DeployError where nothing is deployed."""
    found = find_addresses(stage.client("lambda"), stage.prefix)
    if not {API, WEBSOCKET} <= found.keys():
        raise DeployError(
            f"stage {stage.name} is not deployed in {stage.account}, {stage.region}: nightshift deploy --stage {stage.name}"
        )
    return found
