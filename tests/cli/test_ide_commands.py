"""`vis ide setup`: an assistant talks to the gateway, and nothing else changes for the engineer (G3, G6)."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from product import PATIENCE
from visionality.cli.ide_settings.tools import TOOLS
from visionality.cli.main import vis

GATEWAY = "https://ai.example.com"
KEY = "visk_live_0123456789abcdefghijklmnopqrstuvABCDEF"
WRITTEN = {
    "claude": ".claude/settings.json",
    "codex": ".codex/config.toml",
    "gemini": ".gemini/.env",
    "opencode": "opencode.json",
    "aider": ".env",
    "continue": ".continue/config.yaml",
}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch) -> Path:
    """A project to stand in and a home, both empty; and a key in the environment, which must never come out."""
    for name in ("project", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VIS_KEY", KEY)
    return tmp_path


def setup(tool: str, *words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(vis, ["ide", "setup", tool, "--gateway", GATEWAY, *words])
    assert done.exit_code == code, done.output
    assert KEY not in done.output
    return done


def shell(text: str) -> dict[str, str]:
    """The variables that a shell has once it read this."""
    done = subprocess.run(
        ["sh", "-c", f"{text}\nenv"], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_claude_code_is_told_the_address_and_a_command_for_the_key():
    assert json.loads(setup("claude").stdout) == {
        "env": {"ANTHROPIC_BASE_URL": GATEWAY},
        "apiKeyHelper": "printenv VIS_KEY",
    }


def test_codex_is_told_never_to_try_again_by_itself():
    assert tomllib.loads(setup("codex").stdout) == {
        "model_provider": "visionality",
        "model_providers": {
            "visionality": {
                "name": "Visionality",
                "base_url": f"{GATEWAY}/v1",
                "env_key": "VIS_KEY",
                "wire_api": "responses",
                "request_max_retries": 0,
                "stream_max_retries": 0,
            }
        },
    }


def test_copilot_takes_its_provider_and_key_from_the_shell():
    found = shell(setup("copilot").stdout)
    assert found["COPILOT_PROVIDER_BASE_URL"] == GATEWAY
    assert found["COPILOT_PROVIDER_TYPE"] == "anthropic"
    assert found["COPILOT_PROVIDER_API_KEY"] == KEY


def test_gemini_and_aider_are_told_by_lines_that_hold_no_key():
    assert setup("gemini").stdout == f"GOOGLE_GEMINI_BASE_URL={GATEWAY}\n"
    assert setup("aider").stdout.splitlines() == [
        f"AIDER_OPENAI_API_BASE={GATEWAY}/v1",
        "AIDER_OPENAI_API_KEY=${VIS_KEY}",
        f"ANTHROPIC_API_BASE={GATEWAY}",
        "AIDER_ANTHROPIC_API_KEY=${VIS_KEY}",
    ]


def test_opencode_is_told_an_address_for_each_vendor():
    provider = json.loads(setup("opencode").stdout)["provider"]
    assert {name: one["options"] for name, one in provider.items()} == {
        "anthropic": {"baseURL": f"{GATEWAY}/v1", "apiKey": "{env:VIS_KEY}"},
        "openai": {"baseURL": f"{GATEWAY}/v1", "apiKey": "{env:VIS_KEY}"},
        "google": {"baseURL": f"{GATEWAY}/v1beta", "apiKey": "{env:VIS_KEY}"},
    }


def test_continue_is_told_two_models_behind_the_gateway():
    models = yaml.safe_load(setup("continue").stdout)["models"]
    assert {(one["provider"], one["apiBase"], one["apiKey"]) for one in models} == {
        ("anthropic", f"{GATEWAY}/v1", "${{ secrets.VIS_KEY }}"),
        ("openai", f"{GATEWAY}/v1", "${{ secrets.VIS_KEY }}"),
    }


def test_cline_gets_steps_for_a_person():
    steps = setup("cline").stdout
    assert f"enter {GATEWAY}\n" in steps
    assert "what VIS_KEY holds" in steps


def test_what_takes_a_command_for_its_key_asks_the_credential_helper():
    assert json.loads(setup("claude", "--helper").stdout) == {
        "env": {"ANTHROPIC_BASE_URL": GATEWAY, "CLAUDE_CODE_API_KEY_HELPER_TTL_MS": "60000"},
        "apiKeyHelper": "vis-credential key",
    }
    codex = tomllib.loads(setup("codex", "--helper").stdout)["model_providers"]["visionality"]
    assert codex["auth"] == {"command": "vis-credential", "timeout_ms": 15000, "refresh_interval_ms": 60000}
    assert "env_key" not in codex
    found = shell(setup("copilot", "--helper").stdout)
    assert found["COPILOT_PROVIDER_API_KEY_COMMAND"] == "vis-credential key"
    assert "COPILOT_PROVIDER_API_KEY" not in found


@pytest.mark.parametrize("tool", sorted(set(TOOLS) - {"claude", "codex", "copilot"}))
def test_what_takes_no_command_for_its_key_says_so_and_is_told_by_the_variable(tool):
    done = setup(tool, "--helper")
    assert f'{tool} takes no command for its key: say export VIS_KEY="$(vis-credential key)"' in done.stderr
    assert done.stdout == setup(tool).stdout


def test_a_codex_file_with_another_way_to_its_key_is_told_which_to_take_out(places):
    setup("codex", "--write")
    assert "model_providers.visionality.env_key in this file" in setup("codex", "--helper", "--write").stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_the_project_the_key_s_variable_and_this_installation_s_gateway_stand_in_every_answer(tool, places):
    data_dir = places / "data"
    data_dir.mkdir()
    (data_dir / "addresses.json").write_text('{"gateway": "http://127.0.0.1:8700"}')
    words = [
        "ide",
        "setup",
        tool,
        "--at",
        "hpc-billing",
        "--key-env",
        "TEAM_KEY",
        "--data-dir",
        str(data_dir),
    ]
    done = CliRunner().invoke(vis, words)
    assert "http://127.0.0.1:8700/at/hpc-billing" in done.stdout
    assert "TEAM_KEY" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["--key-env", KEY],
        ["--gateway", f"https://user:{KEY}@ai.example.com"],
        ["--gateway", f"https://ai.example.com/v1?key={KEY}"],
        ["--gateway", f"{GATEWAY}/v1"],
        ["--gateway", "ai.example.com"],
        ["--gateway", "https://$(id)"],
        ["--at", f"../{KEY}"],
        ["--at", ""],
    ],
)
def test_a_key_in_the_wrong_place_and_an_address_that_is_none_are_refused_and_not_repeated(words):
    assert "expected" in setup("claude", *words, code=2).stderr


@pytest.mark.parametrize("tool", WRITTEN)
def test_what_is_written_is_what_is_printed_and_a_second_time_changes_nothing(tool, places):
    first = setup(tool, "--write", "--dir", str(places))
    path = places / WRITTEN[tool]
    assert path.read_text() == setup(tool).stdout
    assert f"= {GATEWAY}" in first.stdout
    assert "nothing changes" in setup(tool, "--write", "--dir", str(places)).stdout
    assert sorted(one for one in path.parent.iterdir() if one.is_file()) == [path]
    assert not (path.parent / ".vis-backup").exists()


def test_without_a_folder_codex_and_continue_are_set_up_at_home_and_the_others_where_one_stands(places):
    for tool in WRITTEN:
        setup(tool, "--write")
    there = {place: {name for name in WRITTEN.values() if (places / place / name).exists()} for place in ("home", "project")}  # fmt: skip
    at_home = {WRITTEN["codex"], WRITTEN["continue"]}
    assert there == {"home": at_home, "project": set(WRITTEN.values()) - at_home}


def test_a_file_that_is_there_keeps_its_settings_its_mode_and_a_copy_that_git_does_not_see(places):
    path = places / "project" / ".env"
    before = f"# app\r\nDATABASE_URL=postgres://x\r\nAIDER_OPENAI_API_KEY={KEY}\r\n"
    path.write_bytes(before.encode())
    path.chmod(0o640)
    subprocess.run(["git", "init", "-q"], check=True, timeout=PATIENCE)

    told = setup("aider", "--write").stdout
    assert "~ AIDER_OPENAI_API_KEY = ${VIS_KEY} (it had another value)" in told
    assert (
        path.read_bytes()
        .decode()
        .startswith("# app\r\nDATABASE_URL=postgres://x\r\nAIDER_OPENAI_API_KEY=${VIS_KEY}\r\n")
    )
    assert path.stat().st_mode & 0o777 == 0o640
    (backup,) = path.parent.glob(".vis-backup/.env.*")
    assert backup.read_bytes().decode() == before
    seen = subprocess.run(
        ["git", "status", "--porcelain", "-uall"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert seen.stdout.split() == ["??", ".env"]


@pytest.mark.parametrize("tool", WRITTEN)
def test_a_broken_file_is_left_alone(tool, places):
    path = places / WRITTEN[tool]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(broken := f'{{"{KEY}'.encode())
    assert "was left as it is" in setup(tool, "--write", "--dir", str(places), code=1).stderr
    assert path.read_bytes() == broken
    assert [*path.parent.glob(".vis-backup")] == []


def test_a_key_that_would_be_sent_instead_is_named_and_not_shown(places):
    path = places / WRITTEN["claude"]
    path.parent.mkdir()
    path.write_text(json.dumps({"env": {"ANTHROPIC_API_KEY": KEY}}))
    told = setup("claude", "--write", "--dir", str(places)).stderr
    assert "env.ANTHROPIC_API_KEY in this file is sent instead of your virtual key" in told
    assert json.loads(path.read_text())["env"]["ANTHROPIC_API_KEY"] == KEY


@pytest.mark.parametrize("name", [".claude", ".claude/settings.json", ".claude/.vis-backup"])
def test_nothing_is_written_through_a_link_to_another_place(name, places):
    elsewhere, link = places / "home", places / "project" / name
    (elsewhere / "settings.json").write_text("{}")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(elsewhere / "settings.json" if name.endswith("json") else elsewhere)
    assert "leads elsewhere" in setup("claude", "--write", code=1).stderr
    assert (elsewhere / "settings.json").read_text() == "{}"
    assert [one.name for one in elsewhere.iterdir()] == ["settings.json"]


@pytest.mark.parametrize("tool", ["copilot", "cline"])
def test_what_reads_no_file_is_not_written(tool):
    assert "reads no settings file" in setup(tool, "--write", code=1).stderr
