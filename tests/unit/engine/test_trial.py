"""A pipeline tried out in this process, and what it would do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from chalicelib.domain.errors import StepError
from chalicelib.domain.masking import Masker
from chalicelib.domain.model import Catalog
from chalicelib.domain.pipeline_state import PipelineState
from chalicelib.engine.artifacts import Artifacts
from chalicelib.engine.context import LiveRun
from chalicelib.engine.interrupts import Interrupts
from chalicelib.engine.log_mask import masked_logs
from chalicelib.engine.pipeline import run_pipeline
from chalicelib.engine.preview import StepPreview, preview
from chalicelib.engine.trial import Outcome, ShownProgress, Trial, run_trial
from chalicelib.engine.values import Values
from tests.unit.catalog.conftest import project, yaml_catalog

__all__ = ["project", "yaml_catalog"]

PIPELINE = """\
pipelines:
  - name: p
    processors:
      - set: {day: "${args.day}", both: [a, b]}
      - echo: {message: "on ${vars.day} with ${secret:db#password}"}
        name: say
      - echo: {message: "said ${steps.say.output.lines}"}
        when: {equals: {"${args.day}": sunday}}
      - for_each:
          items: "${vars.both}"
          as: letter
          steps:
            - echo: {message: "${index} ${letter}"}
        when: {equals: {"${steps.say.output.lines}": 1}}
      - sleep: {duration: "${args.pause|10ms}"}
        timeout: 5s
        retry: 2
    on_failure:
      - echo: {message: "failed: ${error.message}"}
    always:
      - echo: {message: "bye"}
tasks:
  - {id: t, pipeline: p, parameters: {day: {}, pause: {}, token: {type: secret}}}
"""


def trial_of(catalog: Catalog, folder: Path | None = None, **args: Any) -> Trial:
    return Trial(catalog, catalog.pipelines["p"], catalog.tasks.get("t"), args, lambda _: "hunter22", 30.0, folder)


def run(trial: Trial) -> tuple[Outcome, list[str]]:
    events: list[dict[str, Any]] = []
    outcome = run_trial(trial, events.append)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    return outcome, [event["text"] for event in events if event["type"] == "line"]


def test_a_trial_runs_the_pipeline_and_hides_its_secrets(yaml_catalog: Callable[[str], Catalog]) -> None:
    outcome, lines = run(trial_of(yaml_catalog(PIPELINE), day="monday"))
    assert outcome.status == "completed", outcome.error
    assert lines == ["on monday with ***", "0 a", "1 b", "bye"]
    assert outcome.result["say"] == {"lines": 1}
    assert [(step["name"], step["status"]) for step in outcome.steps if not step.get("depth")][:5] == [
        ("set", "completed"), ("say", "completed"), ("echo", "skipped"), ("for_each", "completed"), ("sleep", "completed"),
    ]  # fmt: skip


def test_a_trial_that_fails_says_why_and_keeps_the_folder_that_was_given(
    yaml_catalog: Callable[[str], Catalog], tmp_path: Path
) -> None:
    outcome, lines = run(trial_of(yaml_catalog(PIPELINE), tmp_path / "work", day="monday", pause="hunter22"))
    assert (outcome.status, outcome.error and outcome.error["step"]) == ("failed", "sleep")
    assert lines[-2].startswith("failed: duration: '***' is not a duration")
    assert "hunter22" not in str(outcome)
    assert (tmp_path / "work").is_dir()


def test_as_json_a_trial_is_its_outcome_and_the_exit_code_tells_it(
    yaml_catalog: Callable[[str], Catalog], capsys: pytest.CaptureFixture[str]
) -> None:
    from chalicelib.cli.output import Output
    from chalicelib.cli.trial_output import show_preview, show_trial

    trial, out = trial_of(yaml_catalog(PIPELINE), day="monday", pause="soon"), Output(as_json=True, color=False)
    assert show_trial(trial, out) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["error"]["step"], found["result"]) == ("failed", "sleep", None)
    assert show_preview(trial, out) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["processors"][4]["problems"][0].startswith("duration: 'soon' is not a duration")


def test_a_trial_ends_at_its_timeout(yaml_catalog: Callable[[str], Catalog]) -> None:
    trial = trial_of(yaml_catalog(PIPELINE), day="monday", pause="20s")
    trial.timeout = 0.3
    outcome, _ = run(trial)
    assert outcome.error
    assert (outcome.status, outcome.error["type"], outcome.error["message"]) == ("failed", "Timeout", "timed out after 300ms")


def test_a_preview_tells_what_is_known_and_does_nothing(yaml_catalog: Callable[[str], Catalog], capsys: Any) -> None:
    lists = preview(trial_of(yaml_catalog(PIPELINE), day="monday", token="t0ken"))
    assert list(lists) == ["processors", "on_failure", "always"]
    steps = {step.name: step for step in lists["processors"]}
    assert steps["say"].config == {"message": "on monday with ***"}
    assert steps["say"].says.startswith("Says a message, or several lines, as output of the run")
    assert (steps["echo"].config, steps["echo"].runs) == ({"message": "said ‹steps.say.output.lines›"}, False)
    loop = steps["for_each"]
    assert (loop.runs, loop.config["items"]) == (None, ["a", "b"])
    assert [step.config for step in loop.steps["steps"]] == [{"message": "‹index› ‹letter›"}]
    assert steps["sleep"].config == {"duration": "10ms"}
    assert steps["sleep"].options == {"timeout": "5s", "retry": "2 times"}
    assert lists["on_failure"][0].config == {"message": "failed: ‹error.message›"}
    assert not any(step.problems for found in lists.values() for step in found)
    assert capsys.readouterr().out == ""


def problems(catalog: Catalog, **args: Any) -> list[str]:
    found: list[StepPreview] = preview(trial_of(catalog, **args))["processors"]
    return [problem for step in found for problem in step.problems]


def test_a_preview_tells_what_would_fail(yaml_catalog: Callable[[str], Catalog]) -> None:
    text = """\
pipelines:
  - name: p
    processors:
      - echo: {message: "${env.NIGHTSHIFT_TEST_ABSENT}"}
      - sleep: {duration: "${args.pause}"}
      - sleep: {duration: "${steps.echo.output.lines}"}
      - send_alert: {webhook: "${secret:hook}", message: "${args.pause}"}
      - echo: {message: x}
        when: "${args.pause}"
"""
    absent, duration, condition = problems(yaml_catalog(text), pause="soon")
    assert absent == "${env.NIGHTSHIFT_TEST_ABSENT}: there is no environment variable NIGHTSHIFT_TEST_ABSENT"
    assert duration.startswith("duration: 'soon' is not a duration")
    assert condition.startswith("when: ")


def test_a_later_leg_hides_what_an_earlier_one_has_read(yaml_catalog: Callable[[str], Catalog], tmp_path: Path) -> None:
    text = """\
pipelines:
  - name: p
    processors:
      - exec: {command: [echo, "${secret:db#password}"]}
      - echo: {message: "found ${args.found}"}
"""
    catalog = yaml_catalog(text)
    events: list[dict[str, Any]] = []
    state = PipelineState(next=1, steps=[{"index": 0, "name": "exec", "processor": "exec", "depth": 0, "status": "completed"}])
    progress = ShownProgress(events.append, [])
    handle = LiveRun(
        trial_of(catalog, found="hunter22").record(),
        {"found": "hunter22"},
        progress,
        tmp_path,
        1e9,
        Interrupts(progress, print),
        Artifacts(cast(Any, None), "r", []),
    )
    run_pipeline(catalog, catalog.pipelines["p"], handle, progress, state, Values(handle, lambda _: "hunter22", state))
    assert [event["text"] for event in events if event["type"] == "line"] == ["found ***"]
    (tmp_path / "of-hunter22.txt").touch()
    with pytest.raises(StepError, match="a secret in its name"):
        handle.artifact("of-hunter22.txt")


def test_log_records_show_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    root, masker = logging.getLogger(), Masker(["hunter22"])
    shown: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            shown.append(self.format(record))

    handler = Keep()
    root.addHandler(handler)
    try:
        with masked_logs(masker):
            logging.getLogger("any").warning("is %s", "hunter22")
            try:
                raise ValueError("hunter22")
            except ValueError:
                logging.getLogger("any").exception("oh")
        logging.getLogger("any").warning("is %s", "hunter22")
    finally:
        root.removeHandler(handler)
    assert shown[0] == "is ***"
    assert "ValueError: ***" in shown[1]
    assert "hunter22" not in shown[1]
    assert shown[2] == "is hunter22"
