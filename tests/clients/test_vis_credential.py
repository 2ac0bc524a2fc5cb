"""`vis-credential` on a person's device: a key for where they stand, nothing that leaks, nothing that hangs (A1, K2).

The gateway here is a stand-in (simulated) that hands out keys and counts; tests/gateway/test_story_one.py has the real one.
"""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import vis_credential
from clients.gateway import Gateway, running
from product import PATIENCE, Product
from visionality.runtime.clock import utc_now

PROGRAM = Path(vis_credential.__file__)
CREDENTIAL = "visk_live_" + "D" * 38
REMOTE = "git@bitbucket.org:arctrade/hpc-billing.git"
BRANCH = "HPC-1234-add-pjm-rebill-rules"


def answer(name: str = "vis2_live_one", minutes: float = 60, status: int = 201) -> tuple[int, dict, Any]:
    ends = utc_now() + timedelta(minutes=minutes)
    return status, {}, {"key": name, "expires_at": f"{ends:%Y-%m-%dT%H:%M:%SZ}", "agent": "alice@arctrade"}


def refusal(status: int, code: str) -> tuple[int, dict, Any]:
    return status, {}, {"error": {"code": code, "message": f"this is {code}"}}


@dataclass
class Device:
    """A person's machine: a home of its own, and a clone to stand in."""

    home: Path
    repo: Path
    gateway: Gateway

    @property
    def environment(self) -> dict[str, str]:
        bare = {"PATH": os.environ["PATH"], "HOME": str(self.home), "GIT_CONFIG_NOSYSTEM": "1"}
        who = {f"GIT_{role}_{what}": "a@b" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return bare | who

    def try_run(self, *words: str, stdin: str = "", where: Path | None = None, **more: str) -> Any:
        return subprocess.run(
            [sys.executable, str(PROGRAM), *words],
            input=stdin,
            cwd=where or self.repo,
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def run(self, *words: str, **how: Any) -> str:
        done = self.try_run(*words, **how)
        assert done.returncode == 0, done.stderr
        assert CREDENTIAL not in done.stdout + done.stderr
        return done.stdout.strip()

    def fails(self, *words: str, **how: Any) -> str:
        """The one sentence that it ends with."""
        done = self.try_run(*words, **how)
        assert (done.returncode, done.stdout) == (1, "")
        assert CREDENTIAL not in done.stderr
        assert len(done.stderr.splitlines()) == 1, done.stderr
        return done.stderr.strip()

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.repo, env=self.environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )  # fmt: skip
        return done.stdout.strip()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """What the gateway was asked, without the login's own question."""
        return [json.loads(seen.body) for seen in self.gateway.seen][1:]


@pytest.fixture
def device(tmp_path) -> Iterator[Device]:
    """A device that is logged in, and a clone on Alice's branch."""
    with running() as gateway:
        gateway.answers = [answer()]
        device = Device(tmp_path / "home", tmp_path / "clone", gateway)
        device.home.mkdir()
        device.repo.mkdir()
        device.git("init", "--quiet", "--initial-branch", BRANCH)
        device.git("remote", "add", "origin", REMOTE)
        device.git("commit", "--quiet", "--allow-empty", "--message", "first")
        device.run("login", "--gateway", gateway.url, stdin=f"{CREDENTIAL}\n")
        yield device


def kept(device: Device) -> list[Path]:
    return [path for path in device.home.rglob("*") if path.is_file()]


def test_a_key_is_for_the_repository_the_branch_and_the_commit(device):
    assert device.run("key") == "vis2_live_one"
    (asked,) = device.asked
    assert asked["branch"] == BRANCH
    assert asked["commit"] == device.git("rev-parse", "HEAD")
    assert asked["repo"] == "bitbucket.org:arctrade/hpc-billing.git"
    assert device.gateway.seen[-1].headers["authorization"] == f"Bearer {CREDENTIAL}"
    assert device.gateway.seen[-1].target == "/device-keys"


def test_a_branch_without_a_commit_counts_and_a_detached_head_is_on_none(device):
    device.git("checkout", "--quiet", "--detach")
    device.run("key")
    device.git("checkout", "--quiet", "--orphan", "HPC-9-new")
    device.run("key")
    assert [("branch" in asked, "commit" in asked) for asked in device.asked] == [
        (False, True),
        (True, False),
    ]


def test_outside_a_repository_a_key_names_the_person_alone(device, tmp_path):
    assert device.run("key", where=tmp_path) == "vis2_live_one"
    assert device.asked == [{}]


def test_a_key_is_kept_until_five_minutes_before_its_end(device):
    device.gateway.answers = [answer("short", 4), answer("long", 60), answer("never")]
    assert [device.run("key") for _ in range(4)] == ["short", "long", "long", "long"]


def test_another_branch_commit_or_remote_is_another_key(device):
    device.gateway.answers = [answer(name) for name in ("one", "two", "three", "four")]
    assert device.run("key") == "one"
    device.git("commit", "--quiet", "--allow-empty", "--message", "second")
    assert device.run("key") == "two"
    device.git("checkout", "--quiet", "-b", "HPC-2")
    assert device.run("key") == "three"
    device.git("remote", "set-url", "origin", "https://bitbucket.org/arctrade/other")
    assert device.run("key") == "four"


def test_many_tools_at_once_ask_once(device):
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: device.run("key"), range(8)))
    assert (keys, len(device.asked)) == ({"vis2_live_one"}, 1)


def test_what_is_kept_is_for_its_owner_alone(device):
    device.run("key")
    assert len(kept(device)) == 3
    for path in kept(device):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700, path
    assert [path.name for path in kept(device) if CREDENTIAL in path.read_text()] == ["device.json"]


@pytest.mark.parametrize(
    "remote",
    [
        "https://alice:s3cret@bitbucket.org/arctrade/hpc-billing.git",
        "https://s3cret@bitbucket.org/arctrade/hpc-billing.git",
        "https://bitbucket.org/arctrade/hpc-billing.git?token=s3cret#s3cret",
        "s3cret@bitbucket.org:arctrade/hpc-billing.git",
        "ssh://git:s3cret@bitbucket.org:7999/arctrade/hpc-billing.git",
        "https://alice:s3/cret@bitbucket.org/arctrade/hpc-billing.git",
        "/home/s3cret/hpc-billing.git",
        "file:///home/s3cret/hpc-billing.git",
        "../s3cret",
        "C:\\s3cret\\hpc-billing",
    ],
)
def test_a_secret_in_a_remote_and_a_path_of_the_machine_are_never_sent(device, remote):
    device.git("remote", "set-url", "origin", remote)
    assert device.run("key") == "vis2_live_one"
    said = device.gateway.seen[-1].body.decode()
    assert "s3" not in said
    assert BRANCH in said


def test_while_the_gateway_is_away_a_kept_key_does(device):
    device.gateway.answers = [answer("short", 4), refusal(503, "ledger_unavailable")]
    assert [device.run("key"), device.run("key")] == ["short", "short"]
    device.git("checkout", "--quiet", "-b", "HPC-3")
    assert "ledger_unavailable" in device.fails("key")


def test_a_refusal_is_told_and_a_kept_key_does_not_hide_it(device):
    device.gateway.answers = [answer("short", 4), refusal(401, "spend_token_revoked")]
    assert device.run("key") == "short"
    assert "spend_token_revoked" in device.fails("key")


def test_nothing_listens_and_nothing_hangs(device):
    told = device.fails("key", VIS_GATEWAY="http://127.0.0.1:9", VIS_DEVICE_CREDENTIAL=CREDENTIAL)
    assert "cannot be reached" in told


def test_what_is_no_gateway_is_told_in_a_sentence_and_followed_nowhere(device):
    elsewhere = {"location": f"{device.gateway.url}/elsewhere"}
    device.gateway.answers = [(302, elsewhere, {}), (200, {}, ["what"]), (404, {}, {"no": "error"})]
    for _ in range(3):
        assert "gateway" in device.fails("key")
    assert {seen.target for seen in device.gateway.seen} == {"/device-keys"}


def test_a_gateway_that_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_one = vis_credential.Device(f"http://127.0.0.1:{silent.getsockname()[1]}", CREDENTIAL, "")
        with pytest.raises(vis_credential.Unreachable, match="no answer"):
            vis_credential.exchange(silent_one, vis_credential.Checkout(), time.monotonic() + 0.2)


def test_a_login_that_is_refused_keeps_nothing(device):
    device.gateway.answers = [refusal(403, "scope_denied")]
    before = (device.home / ".config/visionality/device.json").read_text()
    other = "visk_live_" + "E" * 38
    assert "scope_denied" in device.fails("login", "--gateway", device.gateway.url, stdin=other)
    assert (device.home / ".config/visionality/device.json").read_text() == before


def test_a_login_far_from_the_gateway_is_kept_and_says_so(device):
    told = device.run("login", "--gateway", "http://127.0.0.1:9", stdin=CREDENTIAL)
    assert "not tried yet" in told


@pytest.mark.parametrize(
    "address",
    ["http://ai.example.com", "ai.example.com", "https://u:p@ai.example.com", "ftp://x", "https://"],
)
def test_a_credential_goes_to_no_address_in_the_clear(device, address):
    assert "address" in device.fails("login", "--gateway", address, stdin=CREDENTIAL)


def test_what_is_no_credential_is_refused_and_not_repeated(device):
    told = device.fails("login", "--gateway", device.gateway.url, stdin="hunter2\n")
    assert "hunter2" not in told


def test_a_device_that_is_not_set_up_says_how(device, tmp_path):
    assert "vis-credential login" in device.fails("key", HOME=str(tmp_path / "nobody"))


def test_the_environment_sets_a_device_up_too(device, tmp_path):
    set_up = {"VIS_DEVICE_CREDENTIAL": CREDENTIAL, "VIS_GATEWAY": device.gateway.url}
    assert device.run("key", HOME=str(tmp_path / "build"), **set_up) == "vis2_live_one"


def test_what_a_login_kept_is_sent_to_no_gateway_that_the_environment_names(device):
    with running() as elsewhere:
        elsewhere.answers = [answer("stolen")]
        assert "VIS_DEVICE_CREDENTIAL" in device.fails("key", VIS_GATEWAY=elsewhere.url)
        assert elsewhere.seen == []
    assert device.run("key", VIS_GATEWAY=f"{device.gateway.url}/") == "vis2_live_one"


def test_a_credential_in_the_clear_goes_through_no_proxy(device):
    with running() as proxy:
        assert device.run("key", http_proxy=proxy.url, all_proxy=proxy.url) == "vis2_live_one"
        assert proxy.seen == []


def test_a_program_called_git_in_a_repository_is_not_run(device):
    trap = device.repo / "git"
    trap.write_text("#!/bin/sh\necho bitbucket.org:arctrade/trap\n")
    trap.chmod(0o755)
    for path in (f":{os.environ['PATH']}", f".:{os.environ['PATH']}"):
        device.run("key", PATH=path)
    assert [asked["repo"] for asked in device.asked] == ["bitbucket.org:arctrade/hpc-billing.git"]


def test_nothing_that_a_repository_sets_in_its_git_runs_a_command(device, tmp_path):
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\n")
    trap.chmod(0o755)
    for name in (
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
        "core.editor",
        "remote.origin.uploadpack",
    ):
        device.git("config", name, str(trap))
    for name in ("credential.helper", "alias.remote", "alias.rev-parse", "alias.symbolic-ref"):
        device.git("config", name, f"!{trap}")
    for name, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "protocol.ext.allow": "always",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{trap}",
    }.items():
        device.git("config", name, value)
    (device.repo / ".git/refs/heads" / BRANCH).write_text("1" * 40 + "\n")
    device.run("key")
    device.run("status")
    assert "repo" not in device.asked[0]
    assert not sprung.exists()


def test_a_branch_and_a_folder_with_a_shells_words_in_their_names_run_nothing(device, tmp_path):
    branch = "a;touch${IFS}sprung;$(touch${IFS}sprung)`touch${IFS}sprung`&'\""
    folder = tmp_path / "$(touch sprung); touch sprung 'x"
    device.repo.rename(folder)
    there = Device(device.home, folder, device.gateway)
    program = folder / "it's $(touch sprung)" / "vis_credential.py"
    program.parent.mkdir()
    shutil.copy(PROGRAM, program)
    subprocess.run(
        [sys.executable, str(program), "hook", "install"], cwd=folder, env=there.environment, timeout=PATIENCE, check=True
    )  # fmt: skip
    there.git("checkout", "--quiet", "-b", branch)
    Product.until(None, lambda: [asked["branch"] for asked in there.asked] == [branch])
    Product.until(None, lambda: len(kept(there)) == 3)
    assert list(tmp_path.rglob("sprung")) == []


def test_a_link_that_somebody_laid_into_the_cache_is_not_written_through(device, tmp_path):
    device.run("key")
    (key,) = (path for path in kept(device) if path.suffix == ".json" and path.name != "device.json")
    mine = tmp_path / "mine"
    mine.write_text("mine")
    key.unlink()
    key.symlink_to(mine)
    script = f"import os, sys; os.symlink({str(mine)!r}, {str(key.with_suffix(''))!r} + f'.{{os.getpid()}}')"
    script += f"; os.execv(sys.executable, [sys.executable, {str(PROGRAM)!r}, 'key'])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=device.repo, env=device.environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip()) == (0, "vis2_live_one"), done.stderr
    assert mine.read_text() == "mine"
    assert not key.is_symlink()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_status_says_for_whom_and_for_what(device):
    told = device.run("status")
    assert "alice@arctrade" in told
    assert f"bitbucket.org:arctrade/hpc-billing.git, on {BRANCH}" in told


class TestHook:
    def test_a_checkout_has_a_key_made_and_does_not_wait_for_it(self, device):
        device.run("hook", "install")
        device.git("checkout", "--quiet", "-b", "HPC-4-hooked")
        until = Product.until
        until(None, lambda: [asked["branch"] for asked in device.asked] == ["HPC-4-hooked"])
        until(None, lambda: len(kept(device)) == 3)

    def test_a_checkout_succeeds_though_everything_is_broken(self, device):
        device.run("hook", "install")
        shutil.rmtree(device.home / ".config")
        device.git("checkout", "--quiet", "-b", "HPC-5-alone")
        assert device.git("symbolic-ref", "--short", "HEAD") == "HPC-5-alone"

    def test_a_hook_that_was_there_goes_on_and_its_word_counts(self, device):
        mine = device.repo / ".git/hooks/post-checkout"
        mine.parent.mkdir(exist_ok=True)
        mine.write_text('#!/bin/sh\necho "$@" > seen\nexit 3\n')
        mine.chmod(0o755)
        for _ in range(2):
            assert "Your own hook runs after it" in device.run("hook", "install")
        done = subprocess.run(
            ["git", "checkout", "-b", "HPC-6"], cwd=device.repo, env=device.environment, capture_output=True, timeout=PATIENCE, check=False
        )  # fmt: skip
        assert done.returncode == 1  # what git makes of a hook that fails
        assert (device.repo / "seen").read_text().split()[-1] == "1"

    def test_outside_a_repository_there_is_nothing_to_hook(self, device, tmp_path):
        assert "no git repository" in device.fails("hook", "install", where=tmp_path)


def test_it_stands_in_one_file_for_old_pythons():
    source = PROGRAM.read_text()
    assert len(source.splitlines()) < 300
    compile(source, str(PROGRAM), "exec", dont_inherit=True)
