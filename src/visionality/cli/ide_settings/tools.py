"""The assistants, one function each: what they must be told. No key stands in it, only where the key comes from.

Base addresses as each tool's client appends to them: Anthropic's and Google's clients add the version, OpenAI's and
the AI SDK's do not. Sources are the tools' own documentation, November 2026; docs/guide/ide.md says what was tried.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from visionality.cli.ide_settings.formats import (
    Format,
    Path,
    Value,
    continue_yaml,
    env_file,
    json_file,
    toml_file,
)
from visionality.cli.ide_settings.merge import merge

CLAUDE_MODEL = "claude-sonnet-4-6"
OPENAI_MODEL = "gpt-5.1"
HELPER = "vis-credential"
ASKS_AGAIN_MS = 60_000
"""How long a tool uses a key before it asks the helper, which keeps it, so that a switch of the branch shows soon."""
GIVES_UP_MS = 15_000


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file that a tool reads, and what goes into it."""

    name: str
    """Below the folder that it is set up for."""
    kind: Format
    settings: Mapping[Path, Value]
    starts: Mapping[Path, Value] = field(default_factory=dict)
    """What a new file needs, and a person may change."""
    is_of_home: bool = False
    """Read from the home directory, not from the project."""
    in_the_way: tuple[Path, ...] = ()
    """Settings that would win over ours."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A tool's file, or the text that a person acts on where it reads none; and what else is to be done."""

    file: SettingsFile | None = None
    steps: str = ""
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What a new file would hold, or the steps."""
        if self.file is None:
            return self.steps
        return merge(self.file.kind, "", self.file.settings, self.file.starts).text


def _claude(base: str, key_env: str) -> Setup:
    return _claude_by(base, {("apiKeyHelper",): f"printenv {key_env}"})


def _claude_helped(base: str) -> Setup:
    again = ("env", "CLAUDE_CODE_API_KEY_HELPER_TTL_MS")
    return _claude_by(base, {again: str(ASKS_AGAIN_MS), ("apiKeyHelper",): f"{HELPER} key"})


def _claude_by(base: str, key: Mapping[Path, Value]) -> Setup:
    settings: dict[Path, Value] = {("env", "ANTHROPIC_BASE_URL"): base, **key}
    in_the_way = (("env", "ANTHROPIC_AUTH_TOKEN"), ("env", "ANTHROPIC_API_KEY"))
    file = SettingsFile(".claude/settings.json", json_file, settings, in_the_way=in_the_way)
    return Setup(
        file,
        notes=(
            "unset ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN in the shell: Claude Code takes them before the key command",
        ),
    )


def _codex(base: str, key_env: str) -> Setup:
    return _codex_by(base, {"env_key": key_env}, "auth")


def _codex_helped(base: str) -> Setup:
    return _codex_by(base, {}, "env_key")


def _codex_by(base: str, key: Mapping[str, Value], in_the_way: str) -> Setup:
    provider = ("model_providers", "visionality")
    settings: dict[Path, Value] = {
        ("model_provider",): "visionality",
        (*provider, "name"): "Visionality",
        (*provider, "base_url"): f"{base}/v1",
        **{(*provider, name): value for name, value in key.items()},
        (*provider, "wire_api"): "responses",
        (*provider, "request_max_retries"): 0,
        (*provider, "stream_max_retries"): 0,
    }
    if not key:
        auth = (*provider, "auth")
        settings |= {(*auth, "command"): HELPER, (*auth, "timeout_ms"): GIVES_UP_MS}
        settings[(*auth, "refresh_interval_ms")] = ASKS_AGAIN_MS
    return Setup(
        SettingsFile(
            ".codex/config.toml",
            toml_file,
            settings,
            is_of_home=True,
            in_the_way=((*provider, in_the_way),),
        )
    )


def _copilot(base: str, key_env: str) -> Setup:
    return _copilot_by(base, f'COPILOT_PROVIDER_API_KEY="${key_env}"')


def _copilot_helped(base: str) -> Setup:
    return _copilot_by(base, f'COPILOT_PROVIDER_API_KEY_COMMAND="{HELPER} key"')


def _copilot_by(base: str, key: str) -> Setup:
    steps = f"""\
export COPILOT_PROVIDER_TYPE=anthropic
export COPILOT_PROVIDER_BASE_URL={base}
export {key}
export COPILOT_MODEL={CLAUDE_MODEL}
"""
    return Setup(
        steps=steps,
        notes=(
            "Copilot CLI reads these from its environment and from no file: put them where your shell starts",
            f"for OpenAI's models: COPILOT_PROVIDER_TYPE=openai and COPILOT_PROVIDER_BASE_URL={base}/v1",
        ),
    )


def _gemini(base: str, key_env: str) -> Setup:
    settings: dict[Path, Value] = {("GOOGLE_GEMINI_BASE_URL",): base}
    file = SettingsFile(".gemini/.env", env_file, settings, in_the_way=(("GEMINI_API_KEY",),))
    return Setup(
        file,
        notes=(
            f'the key goes by the environment: export GEMINI_API_KEY="${key_env}"',
            "Gemini CLI reads the nearest .env file and no other",
        ),
    )


def _opencode(base: str, key_env: str) -> Setup:
    versions = {"anthropic": "v1", "openai": "v1", "google": "v1beta"}
    settings: dict[Path, Value] = {}
    for provider, version in versions.items():
        options = ("provider", provider, "options")
        settings[(*options, "baseURL")] = f"{base}/{version}"
        settings[(*options, "apiKey")] = f"{{env:{key_env}}}"
    starts: dict[Path, Value] = {("$schema",): "https://opencode.ai/config.json"}
    return Setup(SettingsFile("opencode.json", json_file, settings, starts))


def _aider(base: str, key_env: str) -> Setup:
    settings: dict[Path, Value] = {
        ("AIDER_OPENAI_API_BASE",): f"{base}/v1",
        ("AIDER_OPENAI_API_KEY",): f"${{{key_env}}}",
        ("ANTHROPIC_API_BASE",): base,
        ("AIDER_ANTHROPIC_API_KEY",): f"${{{key_env}}}",
    }
    return Setup(
        SettingsFile(".env", env_file, settings),
        notes=("Aider says nothing about its repository: --at NAME tells the gateway",),
    )


def _continue(base: str, key_env: str) -> Setup:
    settings: dict[Path, Value] = {}
    starts: dict[Path, Value] = {("schema",): "v1", ("version",): "1.0.0", ("name",): "Visionality"}
    models = {"openai": OPENAI_MODEL, "anthropic": CLAUDE_MODEL}
    for provider, model in models.items():
        one = ("models", name := f"Visionality {provider}")
        starts[(*one, "name")] = name
        starts[(*one, "model")] = model
        settings[(*one, "apiKey")] = f"${{{{ secrets.{key_env} }}}}"
        settings[(*one, "apiBase")] = f"{base}/v1"
        settings[(*one, "provider")] = provider
    return Setup(
        SettingsFile(".continue/config.yaml", continue_yaml, settings, starts, is_of_home=True),
        notes=(
            f"Continue looks {key_env} up among its secrets, such as ~/.continue/.env, which no repository holds",
            "models that you had stay as they are, and go where they went",
        ),
    )


def _cline(base: str, key_env: str) -> Setup:
    steps = f"""\
1. Open Cline's settings (the gear above its chat).
2. API Provider: Anthropic. Tick "Use custom base URL" and enter {base}
3. Or API Provider: OpenAI Compatible. Base URL: {base}/v1
4. API Key: paste what {key_env} holds. Cline keeps it in the editor's secret store, not in a file of the project.
5. Model: {CLAUDE_MODEL}, or any that your key allows.
"""
    return Setup(steps=steps)


TOOLS: Mapping[str, Callable[[str, str], Setup]] = {
    "claude": _claude,
    "codex": _codex,
    "copilot": _copilot,
    "gemini": _gemini,
    "opencode": _opencode,
    "aider": _aider,
    "continue": _continue,
    "cline": _cline,
}
"""Name -> what it must be told, for a base address without a slash at its end and the variable that holds the key."""

HELPED: Mapping[str, Callable[[str], Setup]] = {
    "claude": _claude_helped,
    "codex": _codex_helped,
    "copilot": _copilot_helped,
}
"""Those that take a command for their key: what they must be told to ask the credential helper."""
