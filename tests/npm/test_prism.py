"""The connector to Bitbucket against a server that we did not write: Prism (npm, @stoplight/prism-cli).

It answers by the specification and refuses a call that the specification does not have. What it is given is an excerpt in
our own words: the paths, parameters, names and types of Bitbucket Cloud's public one.
"""

import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import httpx2
import pytest

from npm.modules import Missing, Modules, bare_environment, installed
from visionality.connectors.model import Branch, Connector, ConnectorFault, PullRequest, Repository
from visionality.connectors.services import Target, connect

HERE = Path(__file__).parent / "prism"
PROGRAM = Path("node_modules/@stoplight/prism-cli/dist/index.js")
NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
READY_WITHIN = 30


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    """The address of a Prism that serves the excerpt."""
    try:
        modules = installed((HERE / "package.json",))
    except Missing as missing:
        pytest.skip(str(missing))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with _mock(modules, port) as process:
        try:
            _until_ready(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _mock(modules: Modules, port: int) -> subprocess.Popen[bytes]:
    words = ("mock", "--errors", "--host", "127.0.0.1", "--port", str(port), str(HERE / "bitbucket.json"))
    return subprocess.Popen(
        [modules.node, str(modules.folder / PROGRAM), *words],
        env=bare_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _until_ready(port: int) -> None:
    end = monotonic() + READY_WITHIN
    while monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            continue
        return
    pytest.fail(f"Prism did not listen within {READY_WITHIN} s")


def connector(address: str) -> Connector:
    target = Target("bitbucket", address, ("arctrade",), "", "")
    return connect(
        target, "ATCTT3x-token", lambda: NOW, lambda _: pytest.fail("nothing has to be waited for")
    )


@pytest.mark.parametrize("since", [None, datetime(2026, 11, 20, tzinfo=UTC)])
def test_every_call_of_a_run_is_one_that_the_specification_has(prism, since):
    found = [one for page in connector(prism).changes(since) for one in page.found]
    (repository,) = [one for one in found if isinstance(one, Repository)]
    (branch,) = [one for one in found if isinstance(one, Branch)]
    (pull,) = [one for one in found if isinstance(one, PullRequest)]
    assert repository.remote == "bitbucket.org/arctrade/hpc-billing"
    assert (branch.name, branch.head) == ("main", "a" * 40)
    assert (pull.state, pull.commits, pull.merge_commit) == ("merged", ("4" * 40,), "d" * 40)
    assert pull.merged_at == datetime(2026, 11, 21, 9, 30, 0, 46039, tzinfo=UTC)


def test_check_asks_what_the_specification_has(prism):
    assert connector(prism).check().endswith("shows us the repositories of arctrade.")


def test_prism_does_refuse_a_call_that_the_specification_does_not_have(prism):
    with pytest.raises(ConnectorFault):
        connector(f"{prism}/elsewhere").check()
    asked = httpx2.get(
        f"{prism}/2.0/repositories/a/b/pullrequests?state=WRONG",
        headers={"authorization": "x"},
        trust_env=False,
    )
    assert asked.status_code == 422
