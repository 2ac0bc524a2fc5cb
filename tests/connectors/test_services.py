"""Promises of connectors.services: addresses, credentials and the signatures of webhooks."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.world import NOW
from visionality.connectors.model import ConnectorFault, CredentialRefused
from visionality.connectors.services import KINDS, Target, connect, is_signed

SECRET, BODY = "it's a secret", b'{"webhookEvent":"jira:issue_updated"}'
HEADER = {
    "jira_cloud": "x-hub-signature",
    "jira_dc": "x-hub-signature",
    "bitbucket": "x-hub-signature",
    "github": "x-hub-signature-256",
    "gitlab": "x-gitlab-token",
}


def proof(kind: str, secret: str, body: bytes) -> dict[str, str]:
    signed = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {HEADER[kind]: secret if kind == "gitlab" else signed}


def made(kind: str, base_url: str = "", account: str = "", secret: str = "token", scope=("arctrade",)):
    return connect(Target(kind, base_url, scope, account, ""), secret, lambda: NOW, lambda _: False)


def opened(kind: str, base_url: str = "", account: str = "", secret: str = "token"):
    return made(kind, base_url, account, secret).open()


@pytest.mark.parametrize("kind", KINDS)
def test_a_webhook_signed_with_the_secret_is_taken(kind):
    assert is_signed(kind, SECRET, proof(kind, SECRET, BODY), BODY)


@pytest.mark.parametrize("kind", KINDS)
def test_a_webhook_that_is_unsigned_or_signed_otherwise_is_not(kind):
    right = proof(kind, SECRET, BODY)[HEADER[kind]]
    for given_headers in (
        {},
        {HEADER[kind]: ""},
        {HEADER[kind]: right[:-1]},
        {HEADER[kind]: right.upper()},
        {HEADER[kind]: right + "é"},
        {HEADER[kind]: right.removeprefix("sha256=") if kind != "gitlab" else "sha256="},
        {"x-another": right},
        proof(kind, "another", BODY),
    ):
        assert not is_signed(kind, SECRET, given_headers, BODY)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"gitlab"}))
def test_a_signature_belongs_to_its_bytes(kind):
    assert not is_signed(kind, SECRET, proof(kind, SECRET, BODY), BODY + b" ")


@pytest.mark.parametrize("kind", [*KINDS, "another"])
def test_nothing_is_signed_where_there_is_no_secret_or_no_such_service(kind):
    assert not is_signed(kind, "", {"x-gitlab-token": "", **proof("github", "", BODY)}, BODY)
    assert not is_signed("another", SECRET, {"": "", **proof("github", SECRET, BODY)}, BODY)


def test_the_signature_is_the_one_that_github_documents():
    """The example of "Validating webhook deliveries" on docs.github.com."""
    signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert is_signed(
        "github", "It's a Secret to Everybody", {"x-hub-signature-256": signed}, b"Hello, World!"
    )


@given(st.sampled_from(sorted(KINDS)), st.text(), st.text(), st.binary())
def test_no_header_and_no_secret_makes_the_check_crash(kind, secret, header, body):
    try:
        header.encode(), secret.encode()
    except UnicodeEncodeError:
        return
    is_signed(kind, secret, {HEADER[kind]: header}, body)


@pytest.mark.parametrize(
    ("kind", "given_url", "root"),
    [
        ("bitbucket", "", "https://api.bitbucket.org/2.0"),
        ("bitbucket", "https://bitbucket.org/", "https://api.bitbucket.org/2.0"),
        ("github", "", "https://api.github.com"),
        ("github", "https://github.com", "https://api.github.com"),
        ("github", "https://ghe.arctrade.example", "https://ghe.arctrade.example/api/v3"),
        ("github", "https://ghe.arctrade.example/api/v3/", "https://ghe.arctrade.example/api/v3"),
        ("gitlab", "", "https://gitlab.com/api/v4"),
        ("gitlab", "https://git.arctrade.example/gitlab", "https://git.arctrade.example/gitlab/api/v4"),
        ("jira_cloud", "https://arctrade.atlassian.net/", "https://arctrade.atlassian.net/rest/api/3"),
        (
            "jira_cloud",
            "https://api.atlassian.com/ex/jira/11223344",
            "https://api.atlassian.com/ex/jira/11223344/rest/api/3",
        ),
        ("jira_dc", "https://jira.arctrade.example/jira", "https://jira.arctrade.example/jira/rest/api/2"),
    ],
)
def test_the_address_that_people_know_becomes_the_apis(kind, given_url, root):
    assert opened(kind, given_url).base_url == root


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://git.example",
        "git.example",
        "https://",
        "https://alice:token@git.example",
        "https://git.example?x=1",
        "https://git.example/#x",
        "https://git.example:port",
        "https://git.example/a b",
        "https://[",
        "https://git.example\\@evil.example",
    ],
)
def test_an_address_that_is_none_or_holds_a_credential_is_refused(base_url):
    with pytest.raises(ConnectorFault, match="must start with https://"):
        made("gitlab", base_url)


@pytest.mark.parametrize("kind", ["jira_cloud", "jira_dc"])
def test_a_jira_has_to_be_told_where_it_stands(kind):
    with pytest.raises(ConnectorFault, match="stands at no common address"):
        made(kind)


@pytest.mark.parametrize("kind", ["bitbucket", "github", "gitlab"])
def test_a_git_host_has_to_be_told_whose_repositories(kind):
    with pytest.raises(ConnectorFault, match="name at least one"):
        made(kind, scope=())


def test_an_unknown_kind_is_refused_with_those_that_are_known():
    with pytest.raises(ConnectorFault, match="jira_cloud, jira_dc, bitbucket, github, gitlab"):
        made("svn")


@pytest.mark.parametrize("secret", ["", "to ken", "token\n", "tokén", "token\x00"])
def test_a_credential_that_no_header_can_carry_is_refused(secret):
    with pytest.raises(CredentialRefused, match="copy it again"):
        made("github", secret=secret)


def test_an_account_is_shown_with_its_token_and_a_token_alone_as_bearer():
    basic = opened("bitbucket", account="vis@arctrade.example", secret="ATATT")
    assert basic.headers["authorization"] == "Basic dmlzQGFyY3RyYWRlLmV4YW1wbGU6QVRBVFQ="
    assert opened("bitbucket").headers["authorization"] == "Bearer token"
