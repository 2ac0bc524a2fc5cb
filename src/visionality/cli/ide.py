"""`vis ide setup`: a coding assistant's own settings, so that it talks to the gateway."""

import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import click

from visionality.cli.ide_settings.formats import Unreadable
from visionality.cli.ide_settings.merge import at as found_at
from visionality.cli.ide_settings.merge import merge
from visionality.cli.ide_settings.tools import HELPED, HELPER, TOOLS, SettingsFile, Setup
from visionality.cli.installation import Installation, installation, report

KEY_ENV = "VIS_KEY"
BACKUPS = ".vis-backup"
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_ADDRESS = re.compile(r"[A-Za-z0-9._:/\[\]%-]+")
"""What means nothing to a shell, nor to any of the formats."""

ide_command = click.Group("ide", help="Set coding assistants up to talk to the gateway.")


class _Checked(click.ParamType[str]):
    """An option's text, once a rule took it. What was given is not repeated: it may be a key in the wrong place."""

    def __init__(self, name: str, take: Callable[[str], str | None], expected: str) -> None:
        self.name, self._take, self._expected = name, take, expected

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        taken = self._take(str(value))
        if taken is None:
            self.fail(f"expected {self._expected}", param, ctx)
        return taken


def _gateway(text: str) -> str | None:
    """An address without the slash at its end, or None."""
    if not _ADDRESS.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}" if is_whole and not path.endswith("/v1") else None


def _scope(text: str) -> str | None:
    from visionality.gateway.routes import without_scope

    return text if without_scope(f"/at/{text}/v1") == ("/v1", text) else None


def _variable(text: str) -> str | None:
    return text if _VARIABLE.fullmatch(text) else None


@ide_command.command(
    "setup",
    epilog="""\b
Example: vis ide setup claude
  vis ide setup claude --at hpc-billing --write
  vis ide setup codex --gateway https://ai.example.com --key-env VIS_KEY
  vis ide setup claude --helper --write""",
)
@click.argument("tool", type=click.Choice(tuple(TOOLS)), metavar="TOOL")
@click.option(
    "--gateway",
    type=_Checked(
        "URL", _gateway, "an address such as https://ai.example.com, without /v1 and without a user"
    ),
    help="Where the gateway answers; this installation's when left out.",
)
@click.option(
    "--key-env",
    type=_Checked("NAME", _variable, "the name of a variable in capitals, such as VIS_KEY, and never a key"),
    default=KEY_ENV,
    show_default=True,
    help="The environment variable that holds the virtual key.",
)
@click.option(
    "--at",
    type=_Checked("NAME", _scope, "a project or repo: letters, digits and . _ -, at most 100"),
    help="The project or repo that all calls are for.",
)
@click.option(
    "--helper", is_flag=True, help="Its key comes from `vis-credential key`, by repository and branch."
)
@click.option("--write", is_flag=True, help="Merge it into the tool's own file, which is backed up first.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The folder whose file it is; the present one, or your home for codex and continue.",
)
@installation
def _setup(
    here: Installation,
    tool: str,
    gateway: str | None,
    key_env: str,
    at: str | None,
    directory: Path | None,
    *,
    helper: bool,
    write: bool,
) -> None:
    """Print what TOOL must be told so that it talks to the gateway, or --write it.

    TOOL is claude, codex, copilot, gemini, opencode, aider, continue or cline. No key is printed or written: the
    settings say which environment variable holds it.
    """
    base = (gateway or str(here.addresses()["gateway"])) + (f"/at/{at}" if at else "")
    is_helped = helper and tool in HELPED
    setup = HELPED[tool](base) if is_helped else TOOLS[tool](base, key_env)
    if write:
        _write(tool, setup, directory)
    else:
        if setup.file:
            report(
                f"# {setup.file.name} in {directory or ('~' if setup.file.is_of_home else 'the project')}:"
            )
        click.echo(setup.text, nl=False)
    for note in (_of_the_key(tool, key_env, helper=helper, is_helped=is_helped), *setup.notes):
        report(f"note: {note}")


def _of_the_key(tool: str, key_env: str, *, helper: bool, is_helped: bool) -> str:
    """Where the key comes from."""
    if is_helped:
        return f"this device must have a credential: `{HELPER} login --gateway URL` (docs/guide/ide.md)"
    if helper:
        return (
            f'{tool} takes no command for its key: say export {key_env}="$({HELPER} key)" before it starts. '
            "That key ends within the hour, and stays with the branch that it was made on"
        )
    return f"{key_env} must hold a virtual key: `vis key issue`"


def _write(tool: str, setup: Setup, directory: Path | None) -> None:
    if setup.file is None:
        raise click.ClickException(
            f"{tool} reads no settings file: leave --write out, and do what is printed"
        )
    root = directory or (Path.home() if setup.file.is_of_home else Path.cwd())
    path = root / setup.file.name
    for place in (path, path.parent / BACKUPS):
        if place.is_symlink() or not place.resolve().is_relative_to(root.resolve()):
            raise click.ClickException(
                f"{place} leads elsewhere, and only files in {root} are written: put a file in its place, or say another --dir"
            )
    try:
        _merge_into(path, setup.file)
    except OSError as error:
        raise click.ClickException(f"{path} was left as it is: {error.strerror}") from None


def _merge_into(path: Path, file: SettingsFile) -> None:
    """Raises click.ClickException when the file is left as it is, and OSError."""
    from visionality.postgres.place import write_durably

    old = path.read_bytes() if path.exists() else None
    try:
        text = (old or b"").decode()
        merged = merge(file.kind, text.replace("\r\n", "\n"), file.settings, file.starts)
        new = (merged.text.replace("\n", "\r\n") if "\r\n" in text else merged.text).encode()
    except UnicodeError:
        raise click.ClickException(f"{path} was left as it is: it is no UTF-8") from None
    except Unreadable as error:
        raise click.ClickException(
            f"{path} was left as it is: {error}. Mend it, or put in what this prints without --write"
        ) from None
    _warn(file, text)
    if not merged.changes:
        click.echo(f"{path}: nothing changes, it says all of this already")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    backup = None if old is None else _back_up(path, old)
    write_durably(path, new)
    if backup:
        path.chmod(backup.stat().st_mode)
    click.echo(f"{path}:")
    for line in merged.changes:
        click.echo(f"  {line}")
    if backup:
        click.echo(f"as it was: {backup}")


def _warn(file: SettingsFile, text: str) -> None:
    tree = file.kind.read(text)
    for path in file.in_the_way:
        if found_at(tree, path) is not None:
            report(f"note: {'.'.join(path)} in this file is sent instead of your virtual key: take it out")


def _back_up(path: Path, content: bytes) -> Path:
    """A copy in a folder beside the file that Git does not see, since it may hold keys."""
    folder = path.parent / BACKUPS
    folder.mkdir(mode=0o700, exist_ok=True)
    with suppress(FileExistsError), (folder / ".gitignore").open("x") as ignored:
        ignored.write("*\n")
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", dir=folder)
    with os.fdopen(handle, "wb") as copy:
        copy.write(content)
    backup = Path(name)
    backup.chmod(path.stat().st_mode)
    return backup
