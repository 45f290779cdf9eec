import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

import infra.local
from chalicelib.cli.app import app
from chalicelib.cli.project import find_project
from chalicelib.client.session import find_session


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "chalicelib" / "tasks").mkdir(parents=True)
    (tmp_path / "app.py").touch()
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "TOKEN", "NIGHTSHIFT_URL", "NIGHTSHIFT_API_URL", "NIGHTSHIFT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[infra.local.Options]:
    """The options of every stack that was started; it says at once that it is ready."""
    calls: list[infra.local.Options] = []

    def serve(options: infra.local.Options) -> None:
        options.prepare()
        calls.append(options)
        assert options.on_ready is not None
        options.on_ready(options.url)

    monkeypatch.setattr(infra.local, "serve", serve)
    return calls


def test_up_greets_with_a_link_that_carries_the_token(project: Path, served: list[infra.local.Options]):
    result = CliRunner().invoke(app, ["up", "--port", "8411", "--token", "a&b"])
    assert result.exit_code == 0
    assert "http://127.0.0.1:8411/admin/task?token=a%26b\n" in result.stdout


def test_up_takes_port_and_token_from_the_environment(
    project: Path, served: list[infra.local.Options], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PORT", "8412")
    monkeypatch.setenv("TOKEN", "secret")
    CliRunner().invoke(app, ["up", "--no-reload"])
    assert (served[0].port, served[0].token, served[0].reload) == (8412, "secret", False)


def test_up_leaves_a_session_that_clients_find(project: Path, served: list[infra.local.Options]):
    CliRunner().invoke(app, ["up", "--token", "secret"])
    assert find_session() == ("http://127.0.0.1:8400", "secret")
    assert stat.S_IMODE((project / ".nightshift" / "session.json").stat().st_mode) == 0o600


def test_up_keeps_the_token_that_it_made_up(project: Path, served: list[infra.local.Options]):
    tokens = [json.loads(CliRunner().invoke(app, ["up", "--json"]).stdout)["token"] for _ in range(2)]
    assert tokens[0] == tokens[1] != ""
    assert stat.S_IMODE((project / ".nightshift" / "token").stat().st_mode) == 0o600


def test_a_stack_with_its_own_data_leaves_the_projects_session_alone(
    project: Path, served: list[infra.local.Options], tmp_path: Path
):
    CliRunner().invoke(app, ["up", "--token", "one"])
    CliRunner().invoke(app, ["up", "--token", "two", "--port", "8413", "--data-dir", "elsewhere"])
    assert find_session().token == "one"
    assert json.loads((tmp_path / "elsewhere" / "session.json").read_text())["token"] == "two"


def test_a_stack_that_cannot_start_is_one_line(project: Path, served: list[infra.local.Options]):
    (project / "app.py").unlink()
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 1
    assert result.stderr == f"error: there is no app.py in {project}\n"


def test_the_project_is_found_from_any_folder_in_it(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(project / "chalicelib" / "tasks")
    assert find_project() == project


def test_chaos_is_asked_for(project: Path, served: list[infra.local.Options]):
    CliRunner().invoke(app, ["up"])
    CliRunner().invoke(app, ["up", "--chaos"])
    CliRunner().invoke(app, ["up", "--chaos-seed", "7", "--chaos-rate", "kill=0.2", "--chaos-rate", "lose=0"])
    assert [options.chaos_seed for options in served][::2] == [None, 7]
    assert served[1].chaos_seed is not None
    assert served[2].chaos_rates == {"kill": 0.2, "lose": 0.0}


def test_a_chaos_rate_that_is_none_is_one_line(project: Path, served: list[infra.local.Options]):
    result = CliRunner().invoke(app, ["up", "--chaos-rate", "kill"])
    assert result.exit_code == 1
    assert result.stderr == "error: a chaos rate is written like kill=0.2\n"
