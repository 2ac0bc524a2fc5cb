"""Webhooks only have a connector read sooner: signed ones poke it, all others are told the same."""

import hashlib
import hmac
from http.client import HTTPConnection
from uuid import UUID, uuid4

import pytest

from jobs.connecting import KEYS, put_connector
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.purposes import hook_context, organisation_context
from visionality.vault.sealing import seal, unseal

SECRET = "made-by-us-and-shown-once"
BODY = b'{"webhookEvent": "jira:issue_updated"}'
REFUSED = "this webhook is not signed with the secret of a connector here: `vis connector webhook NAME` makes a new one\n"


@pytest.fixture
def connector(office) -> UUID:
    """A connected GitHub whose webhooks are signed with SECRET."""
    database, org = office.plane.database, office.org_id
    made = put_connector(database, org, "github", "github", utc_now())
    put_webhook_secret(office, made, SECRET)
    return made


def put_webhook_secret(office, connector: UUID, secret: str) -> None:
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        ((kek_id, generation, wrapped),) = connection.execute(
            "select id, generation, wrapped from vis_control.organisation_key where org_id = %s",
            [office.org_id],
        ).fetchall()
        kek = KEYS.unwrap(organisation_context(office.org_id, kek_id, generation), wrapped)
        sealed = seal(kek, hook_context(office.org_id, connector, kek_id, generation), secret.encode())
        connection.execute(
            """insert into vis_control.connector_secret (id, org_id, connector_id, purpose, sealed, organisation_key_id, made_at)
               values (%s, %s, %s, 'webhook', %s, %s, %s)""",
            [uuid7(), office.org_id, connector, sealed, kek_id, utc_now()],
        )


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}"}


def post(
    office, connector: UUID, body: bytes = BODY, method: str = "POST", **headers: str
) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", office.plane.port, timeout=10)
    try:
        connection.request(
            method,
            f"/hooks/{connector}",
            body,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def poked_at(office, connector: UUID):
    with office.plane.database.as_role("vis_jobs") as connection:
        query = "select poked_at from vis_control.connector_run where connector_id = %s"
        return connection.execute(query, [connector]).fetchone()[0]


def test_a_signed_webhook_pokes_its_connector_and_those_that_follow_are_the_same_poke(office, connector):
    assert post(office, connector, **signed(BODY)) == (200, "taken\n")
    first = poked_at(office, connector)
    assert first is not None
    assert post(office, connector, **signed(BODY))[0] == 200
    assert poked_at(office, connector) == first


def test_a_ping_is_answered_and_pokes_nothing(office, connector):
    assert post(office, connector, X_GitHub_Event="ping", **signed(BODY)) == (200, "taken\n")
    assert poked_at(office, connector) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        signed(BODY + b" "),
        signed(BODY, "another"),
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256=é"},
    ],
)
def test_another_signature_is_refused_in_one_sentence(office, connector, headers):
    headers = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    assert post(office, connector, **headers) == (401, REFUSED)
    assert poked_at(office, connector) is None


def test_a_connector_that_is_not_there_or_takes_no_webhooks_is_refused_alike(office, connector):
    silent = put_connector(office.plane.database, office.org_id, "gitlab", "gitlab", utc_now())
    for unknown in (uuid4(), silent):
        assert post(office, unknown, **signed(BODY)) == (401, REFUSED)
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        connection.execute("update vis_control.connector set enabled = false where id = %s", [connector])
    assert post(office, connector, **signed(BODY)) == (401, REFUSED)


def test_a_new_secret_ends_the_one_before(office, connector):
    put_webhook_secret(office, connector, "the next")
    assert post(office, connector, **signed(BODY))[0] == 401
    assert post(office, connector, **signed(BODY, "the next"))[0] == 200


def test_another_connectors_secret_is_none_of_this_one(new_office, connector):
    theirs = new_office()
    other = put_connector(theirs.plane.database, theirs.org_id, "github", "github", utc_now())
    put_webhook_secret(theirs, other, "theirs")
    assert post(theirs, other, **signed(BODY))[0] == 401
    assert post(theirs, connector, **signed(BODY, "theirs"))[0] == 401


def test_a_body_of_a_mebibyte_is_taken_and_more_is_not(office, connector):
    body = b" " * 1024 * 1024
    assert post(office, connector, body, **signed(body))[0] == 200
    assert post(office, connector, body + b" ", **signed(body + b" ")) == (
        413, "a webhook has at most 1048576 bytes\n",
    )  # fmt: skip


def test_a_webhook_is_posted(office, connector):
    assert post(office, connector, b"", "GET")[0] == 405


def test_the_control_plane_reads_the_secrets_of_webhooks_and_no_credential(office, connector):
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        found = connection.execute("select purpose, sealed from vis_control.connector_secret").fetchall()
        assert [purpose for purpose, _ in found] == ["webhook"]
        for change in (
            "update vis_control.connector_secret set sealed = ''",
            "delete from vis_control.connector_secret",
        ):
            with pytest.raises(Exception, match="permission denied"), connection.transaction():
                connection.execute(change)
    with pytest.raises(Exception, match="another owner"):
        unseal(b"k" * 32, hook_context(uuid4(), connector, uuid4(), 1), bytes(found[0][1]))
