"""A stage: everything of one deployment carries its name, so several live side by side in an account."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib.bootstrap import client

NAME = re.compile(r"[a-z][a-z0-9]{0,10}")
LAPTOP = "local"


class DeployError(Exception):
    """What was asked for cannot be done; the message says why, and what would be right."""


@dataclass(frozen=True)
class Stage:
    """A stage of a project in an account and a region."""

    name: str
    project: Path
    account: str
    region: str
    partition: str = "aws"

    @classmethod
    def find(cls, name: str, project: Path, region: str | None = None, profile: str | None = None) -> Stage:
        """The stage in the account of the profile, or of the environment's credentials; this process works there from now on.

        Raises DeployError for a name that cannot be, and where there is no account.
        """
        if not NAME.fullmatch(name) or name == LAPTOP:
            raise DeployError(
                f"--stage {name}: a stage is a small letter and up to ten small letters or digits, and not the laptop's '{LAPTOP}'"
            )
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError

        if profile:
            os.environ["AWS_PROFILE"] = profile
        try:
            region = region or boto3.session.Session().region_name
            if not region:
                raise DeployError("in which region? Give --region, set AWS_DEFAULT_REGION, or a region in the profile")
            # What this process and `chalice` build their clients from.
            os.environ |= {"AWS_DEFAULT_REGION": region, "AWS_REGION": region}
            client.cache_clear()
            boto3.setup_default_session()
            me = client("sts").get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise DeployError(f"no AWS account: {error}. Log in (aws sso login), or name a profile with --profile") from None
        return cls(name, project, me["Account"], region, me["Arn"].split(":")[1])

    @property
    def app(self) -> str:
        """The name of the stack, the table and the function of the API."""
        return f"nightshift-{self.name}"

    @property
    def prefix(self) -> str:
        """What the names of all other functions, of roles and rules start with."""
        return self.app + "-"

    @property
    def bucket(self) -> str:
        """The name that the template gives the bucket."""
        return f"{self.app}-files-{self.account}-{self.region}"

    def client(self, service: str) -> Any:
        """A client of an AWS service in this account and region."""
        return client(service)


def until(done: Callable[[], Any], seconds: float, what: str, every: float = 2.0) -> Any:
    """The first true value of `done()`. Raises DeployError when that takes too long."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        if time.monotonic() > deadline:
            raise DeployError(f"{what} takes longer than {seconds / 60:.0f} minutes")
        time.sleep(every)
    return found
