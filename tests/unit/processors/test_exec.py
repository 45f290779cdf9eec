"""exec: what a command prints, how it ends, and that nothing of it stays."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from chalicelib.domain.errors import StepError, StoppedError, TransientError
from chalicelib.processors import children
from chalicelib.processors.exec import Exec
from tests.unit.processors.recorder import Recorder


def shell(command: str, **more: object) -> Exec:
    return Exec.model_validate({"command": command, "shell": True, **more})


def python(code: str) -> Exec:
    return Exec(command=[sys.executable, "-c", code])


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_lines_come_by_stream_and_the_exit_code_is_kept(run: Recorder) -> None:
    output = shell("echo one; echo two; echo careful >&2; printf 'no end'")(run)
    assert output == {"exit_code": 0, "lines": 4}
    assert run.texts() == ["one", "two", "no end"]
    assert run.texts("stderr") == ["careful"]


def test_a_command_is_not_a_shell_line(run: Recorder) -> None:
    Exec(command=["echo", "$HOME; *"])(run)
    assert run.texts() == ["$HOME; *"]


def test_lines_come_while_the_command_still_runs(run: Recorder) -> None:
    seen: list[bool] = []
    write = run.write

    def writing(text: str, stream: str = "stdout") -> None:
        write(text, stream)
        if text == "first":
            seen.append((run.workspace / "go").exists())
            (run.workspace / "go").touch()

    run.write = writing  # type: ignore[method-assign]
    shell("echo first; while [ ! -e go ]; do sleep 0.02; done; echo second")(run)
    assert seen == [False]
    assert run.texts() == ["first", "second"]


def test_a_hundred_thousand_lines_arrive_in_order_and_fast(run: Recorder) -> None:
    started = time.monotonic()
    code = "import sys\nfor n in range(100_000): print(n, 'x' * 40, file=sys.stderr if n % 10 == 0 else sys.stdout)"
    assert python(code)(run)["lines"] == 100_000
    numbers = [int(text.split()[0]) for text in run.texts()]
    assert numbers == [n for n in range(100_000) if n % 10]
    assert [int(text.split()[0]) for text in run.texts("stderr")] == list(range(0, 100_000, 10))
    assert time.monotonic() - started < 20


def test_both_pipes_full_do_not_lock_up(run: Recorder) -> None:
    code = "import sys\nfor s in (sys.stderr, sys.stdout) * 3: s.write('y' * 300_000 + chr(10))"
    python(code)(run)
    for stream in ("stdout", "stderr"):
        assert sum(len(text) for text in run.texts(stream)) == 900_000
        assert max(len(text) for text in run.texts(stream)) <= 1 << 16  # a line without end does not fill the memory


def test_text_is_decoded_over_the_edges_of_reads(run: Recorder) -> None:
    code = (
        "import os,time\n"
        r"for b in b'gr\xc3\xbcn\r\n50 %\r100 %\n\xff\n': os.write(1, bytes([b])); time.sleep(0.002)"
    )
    python(code)(run)
    assert run.texts() == ["grün", "50 %", "100 %", "�"]


def test_a_failing_command_says_its_code_and_last_error(run: Recorder) -> None:
    with pytest.raises(StepError, match=r"^`echo bad >&2; exit 3` ended with exit code 3: bad$"):
        shell("echo bad >&2; exit 3")(run)
    assert shell("exit 3", ok_codes=[0, 3])(run)["exit_code"] == 3


def test_exit_code_75_is_worth_another_attempt(run: Recorder) -> None:
    with pytest.raises(TransientError, match="exit code 75"):
        shell("exit 75")(run)


def test_a_killed_command_names_the_signal(run: Recorder) -> None:
    with pytest.raises(StepError, match="was killed by SIGKILL"):
        shell("kill -9 $$")(run)


def test_a_command_that_is_not_there_is_named(run: Recorder) -> None:
    with pytest.raises(StepError, match="there is no command 'no-such-program' here"):
        Exec(command=["no-such-program"])(run)
    with pytest.raises(StepError, match="'nowhere' is no local folder"):
        Exec(command=["true"], cwd="nowhere")(run)


@pytest.mark.parametrize(
    "config", [{"command": "ls -l"}, {"command": ["ls"], "shell": True}, {"command": []}, {"command": ["ls"], "dir": "x"}]
)
def test_a_config_that_fits_neither_way_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Exec.model_validate(config)


def test_environment_and_folder(run: Recorder) -> None:
    run.args = {"name": "a b; c", "file": {"name": "x", "path": "/tmp/x", "size": 1}, "none": None}
    (run.workspace / "sub").mkdir()
    shell(
        'echo "$NIGHTSHIFT_RUN_ID $NIGHTSHIFT_ARG_NAME $NIGHTSHIFT_ARG_FILE ${NIGHTSHIFT_ARG_NONE-unset} $PORT"; pwd',
        cwd="sub",
        env={"PORT": 80},
    )(run)
    assert run.texts() == ["01RUN a b; c /tmp/x unset 80", str(run.workspace / "sub")]


def test_a_value_stays_one_argument_whatever_it_says(run: Recorder) -> None:
    values = ["--rm", "a b", "; touch evil", "$(touch evil)", "", "*", "line\nend", 7, 1.5, True]
    code = "import sys; print(sys.argv[1:])"
    Exec.model_validate({"command": [sys.executable, "-c", code, *values]})(run)
    assert run.texts() == [str([*values[:7], "7", "1.5", "true"])]
    assert not list(run.workspace.iterdir())
    with pytest.raises(ValidationError, match=r"command\.list.*\n.*string"):
        Exec.model_validate({"command": ["ls", ["a", "b"]]})  # a reference to a list
    with pytest.raises(StepError, match="cannot be run: embedded null byte"):
        Exec(command=["echo", "a\0b"])(run)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("${args.name}", "NAME"),
        ("${ args.name|none}", "NAME"),
        ("${steps.dump.output.path}", "STEPS_DUMP_OUTPUT_PATH"),
        ("${previous.path}", "PREVIOUS_PATH"),
        ("${item}", "ITEM"),
        ("${item.path}", "ITEM_PATH"),
        ("${file.path}", "FILE_PATH"),
        ("${error.message}", "ERROR_MESSAGE"),
        ("${vars.x}", "VARS_X"),
        ("${secret:db#password}", "SECRET_DB_PASSWORD"),
    ],
)
def test_a_shell_line_takes_values_by_its_environment_only(reference: str, name: str) -> None:
    with pytest.raises(ValidationError) as caught:
        shell(f"ls '{reference}'")
    assert f'env: {{{name}: "{reference}"}}, and write "${name}"' in str(caught.value)
    shell(f'ls "${name}"', env={name: reference})


@pytest.mark.parametrize(
    "line", ["echo ${HOME} ${1:-x} ${x%.gz} $item", "cd ${run.workspace}", "ls ${env.HOME}", "awk '{print $1}'"]
)
def test_a_shell_line_keeps_its_own_variables_and_the_runs(line: str) -> None:
    assert shell(line).command == line


def test_variables_are_text_and_null_leaves_one_out(run: Recorder) -> None:
    shell('echo "$A $B ${C-unset}"', env={"A": True, "B": 7, "C": None})(run)
    assert run.texts() == ["true 7 unset"]
    with pytest.raises(ValidationError, match="pattern"):
        shell("true", env={"A=B": "x"})


def test_nothing_is_read_from_the_terminal(run: Recorder) -> None:
    assert Exec(command=["cat"])(run)["lines"] == 0


# ---- nothing stays ----


def test_a_grandchild_left_behind_neither_blocks_nor_stays(run: Recorder) -> None:
    started = time.monotonic()
    shell("sleep 300 & echo $!")(run)
    assert time.monotonic() - started < 5
    assert gone(int(run.texts()[0]))
    assert run.texts("warning") == ["ended 1 processes that the command had left behind"]


def test_a_grandchild_that_left_the_group_does_not_stay(run: Recorder) -> None:
    code = (
        "import subprocess, sys\np = subprocess.Popen(['sleep', '300'], start_new_session=True, stdout=-3, stderr=-3)\nprint(p.pid)"
    )
    python(code)(run)
    assert gone(int(run.texts()[0]))


def test_stop_ends_the_whole_family(run: Recorder) -> None:
    run.stop_when = lambda: len(run.texts()) == 2
    with pytest.raises(StoppedError):
        shell("sh -c 'sleep 300 & echo $!; wait' & echo $!; wait")(run)
    assert all(gone(int(text)) for text in run.texts())


@pytest.mark.parametrize("start", ["setsid", "env -i setsid", "setsid env -i sh -c 'sleep 3141.5 & exec \"$@\"' -"])
def test_stop_ends_those_that_left_the_session(run: Recorder, start: str) -> None:
    run.stop_when = lambda: bool(run.texts())
    with pytest.raises(StoppedError):
        shell(f"{start} sh -c 'echo $$; exec sleep 3141.5' & wait")(run)
    assert gone(int(run.texts()[0]))
    assert not any(process.info["cmdline"] == ["sleep", "3141.5"] for process in psutil.process_iter(["cmdline"]))


def test_stop_kills_what_ignores_the_polite_signal(run: Recorder) -> None:
    run.stop_when = lambda: bool(run.texts())
    started = time.monotonic()
    with pytest.raises(StoppedError):
        shell("trap '' TERM; echo $$; while :; do sleep 1; done")(run)
    assert gone(int(run.texts()[0]))
    assert children.GRACE <= time.monotonic() - started < children.GRACE + 4


def test_a_command_may_clean_up_when_stopped(run: Recorder) -> None:
    run.stop_when = lambda: bool(run.texts())
    with pytest.raises(StoppedError):
        shell("trap 'touch cleaned; echo bye; exit' TERM; echo ready; while :; do sleep 0.05; done")(run)
    assert (run.workspace / "cleaned").exists()
    assert run.texts() == ["ready", "bye"]


@pytest.mark.parametrize("error", [StoppedError, KeyboardInterrupt, TimeoutError])
def test_an_exception_out_of_a_signal_ends_it_too(run: Recorder, error: type[BaseException]) -> None:
    def raise_it(*_: object) -> None:
        raise error()

    before = signal.signal(signal.SIGUSR1, raise_it)

    def send() -> None:
        eventually(lambda: bool(run.texts()))
        os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        with pytest.raises(error):
            shell("echo $$; sleep 300")(run)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)
    assert gone(int(run.texts()[0]))


def test_a_command_that_closes_its_output_is_waited_for(run: Recorder, tmp_path: Path) -> None:
    code = "import os, time\nos.close(1); os.close(2); time.sleep(0.5); open('done', 'w').close()"
    python(code)(run)
    assert (run.workspace / "done").exists()
