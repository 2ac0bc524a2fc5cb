"""What is put into a person's settings file leaves the rest of it as it was, or leaves the file alone (G3)."""

import json
import tomllib
from copy import deepcopy

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visionality.cli.ide_settings.formats import (
    Unreadable,
    continue_yaml,
    env_file,
    json_file,
    toml_file,
)
from visionality.cli.ide_settings.merge import merge
from visionality.cli.ide_settings.tools import TOOLS
from visionality.gateway.routes import find, without_scope

BASE = "http://127.0.0.1:8700"
FILES = {name: setup.file for name, tool in TOOLS.items() if (setup := tool(BASE, "VIS_KEY")).file}

names = st.sampled_from(["env", "apiKeyHelper", "ANTHROPIC_BASE_URL", "hooks", "a.b", "é", ""])
scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)
)
lines = st.sampled_from(["", "# AIDER_OPENAI_API_KEY=x", "A=1", "export B='two = 2'", 'C="#3"', "ANTHROPIC_API_BASE=http://old"])  # fmt: skip


def is_same_again(file, text):
    again = merge(file.kind, text, file.settings, file.starts)
    return again.text == text and again.changes == ()


@given(st.dictionaries(names, values, max_size=5))
def test_whatever_json_a_person_has_stays_beside_ours(tree):
    file, mine = FILES["claude"], deepcopy(tree)
    try:
        merged = merge(file.kind, json.dumps(tree), file.settings)
    except Unreadable:
        assert not isinstance(tree.get("env", {}), dict)
        return
    found = json.loads(merged.text)
    assert found.pop("apiKeyHelper") == "printenv VIS_KEY"
    assert found["env"].pop("ANTHROPIC_BASE_URL") == BASE
    mine.pop("apiKeyHelper", None)
    mine.setdefault("env", {}).pop("ANTHROPIC_BASE_URL", None)
    assert found == mine
    assert is_same_again(file, merged.text)


@given(st.lists(lines, max_size=8))
def test_every_other_line_of_an_env_file_stays(there):
    file, text = FILES["aider"], "\n".join(there)
    merged = merge(file.kind, text, file.settings)
    left = [line for line in merged.text.splitlines() if "API_BASE=" not in line and "API_KEY=${" not in line]
    assert left == [line for line in text.splitlines() if "API_BASE=" not in line]
    assert (
        env_file.read(merged.text).items()
        >= {path[0]: value for path, value in file.settings.items()}.items()
    )
    assert is_same_again(file, merged.text)


CODEX = """\
# my own
model = "gpt-5.1"   # the one I like
approval_policy = "never"

[model_providers.visionality] # ours
base_url = "http://old/v1"
http_headers = { "X-Mine" = "1" }
request_max_retries = 4

[projects."/srv/a"]
trust_level = "trusted"
"""


def test_a_codex_file_keeps_its_comments_its_other_settings_and_those_of_our_provider():
    file = FILES["codex"]
    merged = merge(file.kind, CODEX, file.settings)
    found, before = tomllib.loads(merged.text), tomllib.loads(CODEX)
    ours = found["model_providers"]["visionality"]
    assert (found.pop("model_provider"), ours["base_url"]) == ("visionality", f"{BASE}/v1")
    assert (ours["request_max_retries"], ours["stream_max_retries"]) == (0, 0)
    assert (ours["http_headers"], found["projects"]) == ({"X-Mine": "1"}, before["projects"])
    assert {line for line in CODEX.splitlines() if "#" in line} <= set(merged.text.splitlines())
    assert is_same_again(file, merged.text)


CONTINUE = """\
# my own
name: Local
version: 0.0.1
schema: v1
models:
    # the fast one
    - name: Mine # x
      provider: ollama
      model: q
      apiKey: ${{ secrets.MINE }}
    - uses: ollama/other
rules:
    - be brief
"""


def test_a_continue_file_keeps_its_comments_and_models_and_tries_ours_first():
    file = FILES["continue"]
    merged = merge(file.kind, CONTINUE, file.settings, file.starts)
    found, before = yaml.safe_load(merged.text), yaml.safe_load(CONTINUE)
    first, second, *others = found.pop("models")
    assert others == before.pop("models")
    assert found == before
    assert (first["apiBase"], first["apiKey"]) == (f"{BASE}/v1", "${{ secrets.VIS_KEY }}")
    assert {first["provider"], second["provider"]} == {"anthropic", "openai"}
    assert {line for line in CONTINUE.splitlines() if "#" in line} <= set(merged.text.splitlines())
    assert is_same_again(file, merged.text)


def test_a_model_that_a_person_chose_for_our_entry_stays():
    file = FILES["continue"]
    new = merge(file.kind, "", file.settings, file.starts).text
    chosen = new.replace('model: "gpt-5.1"', "model: gpt-5.5-codex")
    assert chosen != new
    assert is_same_again(file, chosen)


@pytest.mark.parametrize(
    ("tool", "text", "told"),
    [
        ("claude", '{"env": {},}', "line 1 is no JSON"),
        ("claude", '// mine\n{"env": {}}', "comments are not read"),
        ("claude", '{"env": {"A": "1", "A": "2"}}', "said twice"),
        ("claude", '["env"]', "expected an object"),
        ("claude", '{"env": "secret"}', "env is a value: expected settings below it"),
        ("codex", "model = ", "it is no TOML"),
        ("codex", "model_providers = {mine = {name = 'secret'}}", "cannot be edited without changing"),
        ("codex", "a = '''\nmodel_provider = 'secret'\n'''", "cannot be edited without changing"),
        ("aider", "A=1\nsecret words", "line 2 is no NAME=VALUE"),
        ("aider", 'A="secret\nAIDER_OPENAI_API_KEY=1"', "line 1: the quoted value of A does not end"),
        ("continue", "models: [secret", "it is no YAML"),
        ("continue", "models: [{name: secret}]", "no list with one model a paragraph"),
        ("continue", "models:\n- name: a\n- name: a\n", "two models have the name 'a'"),
        ("continue", "- secret", "expected names and values"),
    ],
)
def test_a_file_that_cannot_be_kept_whole_is_refused_without_repeating_it(tool, text, told):
    file = FILES[tool]
    with pytest.raises(Unreadable, match=told) as refused:
        merge(file.kind, text, file.settings, file.starts)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", [json_file, toml_file, env_file, continue_yaml])
def test_an_empty_file_has_no_settings(kind):
    assert kind.read("") == {}


@pytest.mark.parametrize(
    ("tool", "path", "appended"),
    [
        ("claude", ("env", "ANTHROPIC_BASE_URL"), "/v1/messages"),
        ("codex", ("model_providers", "visionality", "base_url"), "/responses"),
        ("gemini", ("GOOGLE_GEMINI_BASE_URL",), "/v1beta/models/gemini-2.5-pro:streamGenerateContent"),
        ("opencode", ("provider", "anthropic", "options", "baseURL"), "/messages"),
        ("opencode", ("provider", "openai", "options", "baseURL"), "/responses"),
        ("opencode", ("provider", "google", "options", "baseURL"), "/models/gemini-2.5-pro:generateContent"),
        ("aider", ("AIDER_OPENAI_API_BASE",), "/chat/completions"),
        ("aider", ("ANTHROPIC_API_BASE",), "/v1/messages"),
        ("continue", ("models", "Visionality anthropic", "apiBase"), "/messages"),
        ("continue", ("models", "Visionality openai", "apiBase"), "/chat/completions"),
    ],
)
def test_what_a_tool_appends_to_its_address_is_a_route_of_the_gateway(tool, path, appended):
    file = TOOLS[tool](f"{BASE}/at/hpc-billing", "VIS_KEY").file
    called, scope = without_scope(f"{file.settings[path]}{appended}".removeprefix(BASE))
    assert scope == "hpc-billing"
    assert find("POST", called, ()) is not None
