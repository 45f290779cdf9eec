import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from chalicelib.cli.app import app
from tests.unit.test_client_fake_server import TOKEN, FakeRun, FakeServer

PARAMETERS = [
    {"name": "database", "type": "text", "required": True, "help": "Which [one]"},
    {"name": "verify", "type": "boolean", "default": False},
    {"name": "copies", "type": "number", "integer": True},
    {"name": "ratio", "type": "number"},
    {"name": "seed", "type": "file"},
    {"name": "level", "type": "select", "choices": [{"value": 1, "label": "one"}, {"value": "all", "label": ""}]},
]
BACKUP = {
    "id": "backup",
    "name": "backup",
    "title": "Database backup",
    "description": "Dumps it.",
    "status": "scheduled",
    "icon": "database",
    "tags": ["db", "night"],
    "schedule": "0 2 * * *",
    "schedule_text": "At 02:00 AM",
    "last_run": "2025-01-02T02:00:00Z",
    "next_run": "2100-01-02T02:00:00Z",
    "duration": "45s",
    "danger": None,
    "parameters": PARAMETERS,
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with FakeServer() as server:
        server.tasks["backup"] = dict(BACKUP)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("NIGHTSHIFT_URL", server.url)
        monkeypatch.setenv("NIGHTSHIFT_TOKEN", TOKEN)
        monkeypatch.delenv("NIGHTSHIFT_DEBUG", raising=False)
        yield server


def nightshift(*args: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, list(args), input=input)


def only_run(server: FakeServer) -> FakeRun:
    (run,) = server.runs.values()
    return run


# Listing


def test_tasks_shows_schedule_and_times(server: FakeServer):
    result = nightshift("tasks")
    assert result.exit_code == 0
    for text in ("backup", "Database backup", "scheduled", "At 02:00 AM", "(45s)", "in 2"):
        assert text in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("args", [("--json", "tasks"), ("tasks", "--json")])
def test_json_may_stand_on_either_side_of_the_subcommand(server: FakeServer, args: tuple[str, ...]):
    assert json.loads(nightshift(*args).stdout)["tasks"][0]["id"] == "backup"


def test_url_and_token_after_the_subcommand_win(server: FakeServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NIGHTSHIFT_URL", "http://127.0.0.1:9")
    result = nightshift("--url", "http://127.0.0.1:8", "tasks", "--url", server.url, "--token", TOKEN)
    assert result.exit_code == 0


def test_show_tells_definition_parameters_and_runs(server: FakeServer):
    server.tasks["backup"]["danger"] = "Locks the database"
    server.runs["R1"] = FakeRun("R1", "backup", status="failed")
    result = nightshift("show", "backup")
    assert result.exit_code == 0
    for text in (
        "Dumps it.",
        "⚠ Locks the database",
        "db, night",
        "Which [one]",
        "1, all",
        "R1",
        "ValueError: no disk",
    ):
        assert text in result.stdout


def test_runs_are_listed_up_to_the_limit(server: FakeServer):
    for number in range(5):
        server.runs[f"R{number}"] = FakeRun(f"R{number}", "backup", status="completed")
    listed = json.loads(nightshift("runs", "--limit", "2", "--json").stdout)["runs"]
    assert [run["id"] for run in listed] == ["R4", "R3"]
    assert nightshift("runs", "backup", "--status", "failed").stderr == "No run matches.\n"
    assert "R0" in nightshift("runs").stdout


def test_what_a_task_calls_itself_cannot_paint_the_terminal(server: FakeServer):
    server.tasks["backup"]["title"] = "\x1b[2J[red]Evil[/red]"
    assert "[red]Evil[/red]" in nightshift("tasks").stdout


# Starting


def test_arguments_get_the_type_of_their_parameter(server: FakeServer, tmp_path: Path):
    (tmp_path / "seed.sql").write_bytes(b"\x00data")
    given = ["database=a=b", "verify=yes", "copies=3", "ratio=0.5", "seed=@seed.sql", "level=1", "other=7"]
    result = nightshift("start", "backup", *[part for pair in given for part in ("--arg", pair)])
    assert result.exit_code == 0
    assert only_run(server).args == {
        "database": "a=b",
        "verify": True,
        "copies": 3,
        "ratio": 0.5,
        "seed": {"name": "seed.sql", "content_base64": base64.b64encode(b"\x00data").decode()},
        "level": 1,
        "other": "7",
    }
    assert only_run(server).id in result.stdout


@pytest.mark.parametrize("text", ['{"database": "a", "copies": 2}', "database: a\ncopies: 2\n"])
def test_arguments_come_from_stdin_and_pairs_win(server: FakeServer, text: str):
    result = nightshift("start", "backup", "--args-file", "-", "-a", "copies=5", "-a", "verify", input=text)
    assert result.exit_code == 0
    assert only_run(server).args == {"database": "a", "copies": 5, "verify": True}


def test_every_value_that_does_not_fit_is_named_and_nothing_starts(server: FakeServer):
    result = nightshift("start", "backup", "-a", "verify=maybe", "-a", "copies=x", "-a", "seed=@none", "-a", "database")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "error: invalid arguments",
        "  verify: true or false, not 'maybe'",
        "  copies: not a number: 'x'",
        "  seed: cannot read none: No such file or directory",
        "  database: needs a value: --arg name=value",
    ]
    assert server.runs == {}


def test_a_large_file_is_refused_before_it_is_sent(server: FakeServer, tmp_path: Path):
    with (tmp_path / "big").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    result = nightshift("start", "backup", "-a", "seed=@big")
    assert (result.exit_code, "5.0 MB, at most 4 MB" in result.stderr) == (2, True)


def test_field_errors_of_the_server_are_shown_per_field(server: FakeServer):
    server.start_problem = (422, "Invalid arguments", "", [{"field": "database", "message": "is required"}])
    result = nightshift("start", "backup")
    assert result.exit_code == 2
    assert result.stderr == "error: Invalid arguments\n  database: is required\n"


def test_the_words_of_http_are_not_shown_where_fields_say_more(server: FakeServer):
    server.start_problem = (422, "Unprocessable Content", "", [{"field": "database", "message": "is required"}])
    assert nightshift("start", "backup").stderr == "error: this is not accepted\n  database: is required\n"


def test_a_dangerous_task_wants_yes_where_nobody_can_be_asked(server: FakeServer):
    server.tasks["backup"]["danger"] = "Locks the database"
    refused = nightshift("start", "backup")
    assert (refused.exit_code, server.runs) == (2, {})
    assert refused.stderr == "error: backup asks for confirmation (Locks the database): add --yes\n"
    assert nightshift("start", "backup", "--yes").exit_code == 0


@pytest.mark.parametrize(("status", "code"), [("completed", 0), ("failed", 1), ("stopped", 3)])
@pytest.mark.parametrize("option", ["--follow", "--wait"])
def test_the_end_of_a_run_is_the_exit_code(server: FakeServer, status: str, code: int, option: str):
    def act(run: FakeRun) -> None:
        run.say(2)
        run.finish(status)

    server.on_start = act
    result = nightshift("start", "backup", option)
    assert result.exit_code == code
    assert result.stdout == ("line 1\nline 2\n" if option == "--follow" else "")
    assert f"backup {status} after 45s" in result.stderr
    assert ("in step copy: ValueError: no disk" in result.stderr) == (status == "failed")


def test_following_as_json_is_one_event_per_line_and_nothing_else(server: FakeServer):
    server.on_start = lambda run: (run.say(2), run.finish("failed"))
    result = nightshift("start", "backup", "--follow", "--json")
    assert [json.loads(row)["seq"] for row in result.stdout.splitlines()] == [1, 2, 3]
    assert (result.exit_code, result.stderr) == (1, "")


def test_waiting_as_json_is_the_finished_run(server: FakeServer):
    assert json.loads(nightshift("start", "backup", "--wait", "--json").stdout)["result"] == {"data": {"rows": 42}}


def test_stop_takes_a_task_or_a_run(server: FakeServer):
    assert nightshift("stop", "backup").stderr == "error: nothing runs\n"
    run_id = json.loads(nightshift("start", "backup", "--json").stdout)["run_id"]
    only_run(server).status = "running"
    assert nightshift("stop", "backup").stdout == f"{run_id} is told to stop\n"
    assert nightshift("stop", run_id, "--json").exit_code == 0
    assert only_run(server).status == "stopped"


# Logs


def test_logs_of_a_task_are_those_of_its_latest_run(server: FakeServer):
    server.on_start = lambda run: (run.say(3), run.finish())
    nightshift("start", "backup")
    nightshift("start", "backup")
    result = nightshift("logs", "backup", "--after", "1", "--timestamps")
    assert result.stdout == "2025-01-02T03:04:05.678Z  line 2\n2025-01-02T03:04:05.678Z  line 3\n"
    assert server.requests[-1] == f"GET /run/{list(server.runs)[-1]}/log"


def test_logs_of_a_task_that_never_ran_say_so(server: FakeServer):
    assert nightshift("logs", "backup").stderr == "error: backup has not run yet\n"


def test_colours_of_lines_are_left_out_of_pipes(server: FakeServer):
    red = {"seq": 1, "type": "line", "text": "\x1b[31mred\x1b[0m"}
    server.on_start = lambda run: (run.events.append(red), run.finish())
    assert nightshift("start", "backup", "-f").stdout == "red\n"


# Errors


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["show", "nothing"], 1, "error: there is no task 'nothing'\n"),
        (["tasks", "--url", "http://127.0.0.1:9"], 1, "error: cannot reach http://127.0.0.1:9 (connection refused)"),
        (["tasks", "--url", "nonsense"], 1, "error: not a URL with http:// or https://: 'nonsense'\n"),
        (["tasks", "--token", "wrong"], 1, "error: the token is unknown; give the token with --token or"),
        (["tasks", "--nonsense"], 2, "error: No such option: --nonsense; see nightshift tasks --help\n"),
        (["start"], 2, "error: Missing argument 'TASK'; see nightshift start --help\n"),
        (["simulte"], 2, "error: No such command 'simulte'. Did you mean 'simulate'?; see nightshift --help\n"),
        (["start", "backup", "--args-file", "none"], 1, "error: No such file or directory: none\n"),
    ],
)
def test_every_error_is_one_line_on_stderr(server: FakeServer, args: list[str], code: int, message: str):
    result = CliRunner().invoke(app, args, prog_name="nightshift")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (code, "", 1)
    assert result.stderr.startswith(message)


def test_help_loads_nothing_heavy():
    program = (
        "import sys\n"
        "from chalicelib.cli.app import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "print([name for name in ('boto3', 'rich', 'websockets', 'yaml', 'http.client') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Stop a run" in done.stdout
