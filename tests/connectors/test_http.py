"""Promises of connectors.http: where a credential goes, and what is not waited for."""

import socket
from collections.abc import Iterator
from datetime import timedelta

import pytest

from connectors.bench import Bench
from connectors.stand_ins.github import GitHub
from connectors.stand_ins.server import Reply, Request, StandIn, serving
from connectors.world import NOW
from gateway.certificates import Authority
from visionality.connectors import http
from visionality.connectors.model import ConnectorFault, Paused
from visionality.connectors.services import Target, connect


class Elsewhere(StandIn):
    """Somebody else's server."""

    def answer(self, request: Request) -> Reply:
        self.seen.append(request)
        return Reply([])


@pytest.fixture
def elsewhere() -> Iterator[StandIn]:
    with serving(Elsewhere()) as one:
        yield one


def fault_of(bench: Bench) -> str:
    with pytest.raises(ConnectorFault) as fault:
        bench.pages()
    return str(fault.value)


# ---------------------------------------------------------------- where the credential goes


def test_a_next_link_to_another_host_is_not_followed(bitbucket, github, gitlab, elsewhere):
    for one, reply in (
        (bitbucket, Reply({"values": [], "next": f"{elsewhere.url}/2.0/x"})),
        (github, Reply([], headers={"Link": f'<{elsewhere.url}/x>; rel="next"'})),
        (gitlab, Reply([], headers={"Link": f'<{elsewhere.url}/x>; rel="next"'})),
    ):
        one.service.planned = [reply]
        assert "where its credential must not go" in fault_of(one)
    assert elsewhere.seen == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(any_service, elsewhere, status):
    any_service.service.planned = [Reply({}, status, {"Location": f"{elsewhere.url}/x"})]
    assert "where its credential must not go" in fault_of(any_service)
    assert elsewhere.seen == []


def test_a_redirect_within_the_host_is_followed(github):
    expected = github.pages()
    github.service.planned = [Reply({}, 301, {"Location": "/api/v3/orgs/arctrade/repos?per_page=100"})]
    assert github.pages() == expected


def test_redirects_that_never_end_are_given_up(github):
    github.service.planned = [Reply({}, 302, {"Location": "/api/v3/orgs/arctrade/repos"})] * 9
    assert "was 302" in fault_of(github)
    assert len(github.service.seen) == 6


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("http://[", "must not go"),
        ("//[::1", "names an address that is none"),
        ("http://user:secret@127.0.0.1/x", "must not go"),
        ("//elsewhere.example/x", "must not go"),
        ("file:///etc/passwd", "must not go"),
    ],
)
def test_a_next_link_that_is_no_address_or_brings_a_credential_is_a_fault(bitbucket, link, told):
    bitbucket.service.planned = [Reply({"values": [], "next": link})]
    assert told in fault_of(bitbucket)


def test_pages_that_lead_back_to_themselves_are_a_fault(bitbucket):
    bitbucket.service.planned = [
        lambda request: Reply({"values": [], "next": f"{bitbucket.service.url}{request.path}?page=2"})
    ] * 3
    assert "a second time" in fault_of(bitbucket)


@pytest.mark.parametrize(
    "address",
    ["http://169.254.169.254", "https://169.254.169.254", "http://2852039166", "http://[fd00:ec2::254]"],
)
def test_a_metadata_service_is_no_address(address):
    with pytest.raises(ConnectorFault, match="metadata service"):
        connect(Target("gitlab", address, ("a",), "", ""), "s", lambda: NOW, lambda _: False)


def test_a_name_that_leads_to_a_metadata_service_is_given_nothing(github, monkeypatch):
    """The name resolves to loopback, and loopback is taken for such a service here."""
    monkeypatch.setattr(http, "is_refused", lambda address: address == "127.0.0.1")
    assert "leads to a machine's metadata service" in fault_of(github)
    assert github.service.seen == []


def test_no_proxy_of_the_environment_sees_a_call(github, elsewhere, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, elsewhere.url)
    assert github.pages()
    assert elsewhere.seen == []


# ---------------------------------------------------------------- who the other side is


def test_a_private_authority_is_believed_when_its_certificate_is_given(tmp_path):
    authority = Authority.made(tmp_path)
    one = Bench("github", GitHub())
    with serving(one.service, authority.server()):
        assert list(one.connector(ca_bundle=authority.certificate.read_text()).changes(None))
        with pytest.raises(ConnectorFault, match="certificate of the authority"):
            one.pages()
    assert one.waits == []


def test_a_ca_bundle_that_is_no_pem_is_told(github):
    with pytest.raises(ConnectorFault, match="PEM"):
        github.connector(ca_bundle="not a certificate")


# ---------------------------------------------------------------- what is not waited for


def test_an_answer_that_is_too_large_is_given_up(github):
    github.service.planned = [Reply(pieces=iter([b"[" + b" " * 2**20] + [b" " * 2**20] * 16))]
    assert "larger than 16 MiB" in fault_of(github)
    assert github.waits == []


def test_an_answer_that_drips_is_no_answer(github):
    """The clock moves on by three minutes each time that it is looked at."""
    github.step = timedelta(minutes=3)
    github.service.planned = [lambda _: Reply(pieces=iter([b"[", b" ", b"]"]))] * 9
    assert "no whole answer in 120 s" in fault_of(github)


def test_a_service_that_says_nothing_is_given_up(github, monkeypatch):
    monkeypatch.setattr(http, "READ_WITHIN_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connector = github.connector(base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(ConnectorFault, match="5 tries ended with ReadTimeout"):
            connector.check()
    assert len(github.waits) == 4


def test_a_service_that_is_not_there_is_given_up(github):
    with socket.create_server(("127.0.0.1", 0)) as gone:
        url = f"http://127.0.0.1:{gone.getsockname()[1]}"
    with pytest.raises(ConnectorFault, match="5 tries ended with ConnectError"):
        github.connector(base_url=url).check()


def test_an_answer_that_breaks_off_is_asked_for_again(github):
    expected = github.pages()
    broken = Reply([], headers={"content-encoding": "gzip"})
    github.service.planned = [broken, broken]
    assert github.pages() == expected
    assert len(github.waits) == 2


def test_waits_that_add_up_to_more_than_65_minutes_pause_the_run(github):
    github.service.planned = [Reply({}, 429, {"Retry-After": "1200"})] * 9
    with pytest.raises(Paused):
        github.pages()
    assert github.waits == [1200, 1200, 1200]


def test_each_call_has_its_own_patience(github):
    later = Reply({}, 429, {"Retry-After": "200"})
    github.service.planned = [later, lambda _: None, later, lambda _: None, later]
    assert github.pages()
    assert github.waits == [200, 200, 200]


def test_the_services_own_words_are_in_the_sentence(any_service):
    any_service.service.planned = [
        Reply({"errorMessages": ["Field 'x'\ndoes not exist."], "message": "Field 'x'\ndoes not exist."}, 400)
    ]
    assert "was 400 (\"Field 'x' does not exist.\")" in fault_of(any_service)


# ---------------------------------------------------------------- what a service says that nobody should keep


@pytest.mark.parametrize("body", [rb'[{"a":"half \ud83d"}]', b'[{"a":"half \xff"}]'])
def test_half_a_character_in_a_text_does_not_spoil_its_page(body):
    answer = http.Answer("GitHub to GET /x", http.httpx2.URL("https://h/x"), {}, None, body)
    assert answer.read(list[dict[str, str]])[0]["a"].startswith("half ")


def test_a_refusal_without_a_bottom_is_one_that_says_nothing(github):
    github.service.planned = [Reply(status=403, pieces=iter([b'{"message":' * 100_000]))]
    assert "GET /api/v3/orgs/arctrade/repos was 403: the credential lacks the right" in fault_of(github)


def test_a_refusal_that_says_the_credential_back_does_not_have_it_told(any_service):
    sent, secret = any_service.service.authorization, any_service.service.secret
    said = f"no right for {sent.partition(' ')[2]} or {secret}\0\x1b[2J\ud83d"
    any_service.service.planned = [Reply({"message": said}, 403)]
    told = fault_of(any_service)
    assert "no right for … or …[2J" in told
    assert told.isprintable()


def test_lists_that_never_end_are_given_up(any_service, monkeypatch):
    monkeypatch.setattr(http, "MOST_PAGES", 1)
    assert "a list of more than 1 pages" in fault_of(any_service)
