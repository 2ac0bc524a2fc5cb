"""A figure under a signature: its link shows that figure and no other to whoever has it, and can be checked (F6)."""

import base64
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import evidence_keys
from core.test_figure_before_packs import CONTENT
from visionality.core.figure_before_packs import DOMAIN
from visionality.core.key_document import spelled
from visionality.core.signed_figure import read, sign
from visionality.core.spend_token import kid_of
from visionality.evidence.keys import everything, published
from visionality.runtime.clock import utc_now
from visionality.runtime.ids import uuid7
from visionality.vault.keyproviders.env import from_text
from web.browsing import plane_on
from web.conftest import office_on
from web.rows import call
from web.test_ledger_page import words

DOLLAR = 1_000_000_000


def spend(nusd, **given):
    return call(cost_nusd=nusd, **({"billed_nusd": nusd} | given))


def this_month():
    return f"{utc_now():%Y-%m}"


def ask(office, **fields):
    """Send the form."""
    page = office.browser.get("/finance/figures").text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)[1]
    return office.browser.post(
        "/finance/figures", csrfmiddlewaretoken=token, **({"month": this_month()} | fields)
    )


def link(office, **fields):
    """The path of the link to a figure that is signed now."""
    answer = ask(office, **fields)
    assert answer.status == 302, words(answer.text)
    page = office.browser.get(answer.headers["location"].partition("#")[0]).text
    return urlsplit(unescape(re.search(r'class="secret">(.*?)<', page)[1])).path


def stranger(office, path):
    return office.plane.browser().get(path)


def events(office, kind="figure_signed"):
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        return connection.execute(
            "select actor, detail from vis.admin_events where org_id = %s and kind = %s",
            [office.org_id, kind],
        ).fetchall()


KEYS = from_text(base64.b64encode(bytes(range(32))).decode())
"""Those of the plane."""


@pytest.fixture
def new_office(new_office):
    """Offices of an installation whose master key was opened, and whose sealer has made their keys."""

    def made_anew():
        made = without_keys(new_office())
        evidence_keys.make(made.plane.database, KEYS)
        return made

    return made_anew


@pytest.fixture
def unsealed(plane, tmp_path):
    """An office that no sealer has seen yet."""
    return without_keys(office_on(plane, tmp_path))


def without_keys(made):
    with made.plane.database.as_role("vis_super") as connection:
        connection.execute(
            "insert into vis.installation (installation_id, master_fingerprint) values (%s, %s) on conflict do nothing",
            [uuid7(), bytes(32)],
        )
    return made


def packs_key(office):
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        (key,) = [key for key in everything(connection, office.org_id) if key.role == "pack"]
    return key


def sign_with(office, private, **columns):
    """Have an office sign with this key from now on."""
    columns["public"] = private.public_key().public_bytes_raw()
    said = ", ".join(f"{name} = %s" for name in columns)
    with office.plane.database.as_role("vis_super") as connection:
        connection.execute(
            f"update vis.evidence_keys set {said} where org_id = %s and role = 'pack'",
            [*columns.values(), office.org_id],
        )


@pytest.fixture
def spent(office):
    office.write(
        spend(3 * DOLLAR + 1, billed_nusd=4 * DOLLAR, team_id="grid", customer_id="ERCOT"),
        spend(2 * DOLLAR, project_id="SOCE", agent_sub="derek@arctrade", sso_sub="derek@arctrade.example"),
        spend(9 * DOLLAR, provider="sandbox"),
    )
    return office


def test_a_stranger_with_the_link_sees_the_one_figure(spent):
    answer = stranger(spent, link(spent, project="HPC"))
    assert answer.status == 200
    told = words(answer.text)
    for said in (
        "ArcTrade",
        "AI spend, project HPC",
        "3 .000000001 USD",
        "4 USD billed after markup, 1 call",
        "By operator",
        "The signature is ArcTrade's",
        "The ledger gives the same figure today.",
    ):
        assert said in told
    assert "SOCE" not in answer.text
    assert str(spent.org_id) not in told
    assert answer.headers["x-robots-tag"] == "noindex"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("scope", "cost"),
    [
        ({}, "5.000000001"),
        ({"project": "SOCE"}, "2"),
        ({"team": "grid"}, "3.000000001"),
        ({"customer": "ERCOT"}, "3.000000001"),
        ({"agent": "derek@arctrade"}, "2"),
        ({"person": "derek@arctrade.example"}, "2"),
        ({"project": "HPC", "person": "alice@arctrade.example"}, "3.000000001"),
        ({"project": "HPC", "agent": "alice@arctrade"}, "3.000000001"),
        ({"project": "HPC", "customer": "ERCOT"}, "3.000000001"),
    ],
)
def test_a_figure_is_the_ledgers_sum_of_its_scope(spent, scope, cost):
    text = link(spent, **scope).rpartition("/")[2]
    said = read(text).statement
    assert (said.cost_usd, said.scope) == (cost, scope)


def test_what_is_signed_is_in_the_audit_log_with_everything(spent):
    text = link(spent, project="HPC").rpartition("/")[2]
    ((actor, detail),) = events(spent)
    assert actor == "operator"
    assert detail["signed"] == text
    assert detail["cost_usd"] == "3.000000001"
    assert detail["project"] == "HPC"
    assert detail["fingerprint"] == packs_key(spent).fingerprint
    assert "project HPC" in words(spent.browser.get("/finance/figures").text)


def test_the_page_says_by_how_much_the_ledger_has_changed(spent):
    path = link(spent, project="HPC")
    spent.write(spend(-DOLLAR, entry="true_up"))
    told = words(stranger(spent, path).text)
    assert "The ledger gives 2.000000001 USD today: cost -1 USD, billed -1 USD" in told
    assert "same figure today" not in told


def of_receiver(office, path, folder):
    """What whoever got a link has: the file of its page, and the organisation's list of keys."""
    (folder / "figure.json").write_text(stranger(office, f"{path}/figure.json").text)
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        (folder / "keys.json").write_bytes(published(connection, office.org_id, utc_now()))
    return folder / "figure.json"


@pytest.fixture
def file(spent, tmp_path):
    return of_receiver(spent, link(spent, project="HPC"), tmp_path)


def verified(file):
    command = [sys.executable, "-m", "vis_verify", "figure.json", "--key", "keys.json"]
    return subprocess.run(command, cwd=file.parent, capture_output=True, text=True, check=False)


def test_the_file_is_checked_by_the_verifier_without_the_server(file):
    told = verified(file)
    assert told.returncode == 0, told.stderr + told.stdout
    assert "3.000000001" in told.stdout
    payload = base64.b64decode(json.loads(file.read_text())["payload"])
    changed = payload.replace(b"3.000000001", b"4.000000001")
    given, forged = (base64.b64encode(one).decode() for one in (payload, changed))
    file.write_text(file.read_text().replace(given, forged))
    assert verified(file).returncode == 20


def test_a_figure_of_an_office_is_none_of_another(file, new_office):
    other = new_office()
    with other.plane.database.as_role("vis_reader", other.org_id) as connection:
        (file.parent / "keys.json").write_bytes(published(connection, other.org_id, utc_now()))
    assert verified(file).returncode == 21


def test_the_commands_of_the_page_check_the_file(spent, file):
    page = stranger(spent, link(spent, project="HPC")).text
    commands = unescape(re.findall(r"<code>([^<]*)</code></pre>", page)[1])
    told = subprocess.run(
        ["bash", "-euc", commands], cwd=file.parent, capture_output=True, text=True, check=True
    )
    assert "Verified Successfully" in told.stdout
    assert '"cost": "3.000000001"' in told.stdout
    keys = json.loads((file.parent / "keys.json").read_text())
    for key in keys["keys"]:
        key["public"] = base64.b64encode(
            Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        ).decode()
    (file.parent / "keys.json").write_text(json.dumps(keys))
    again = subprocess.run(["bash", "-euc", commands], cwd=file.parent, capture_output=True, check=False)
    assert again.returncode != 0


def test_what_is_signed_names_the_newest_head_of_the_ledger(spent, tmp_path):
    assert read(link(spent, project="HPC").rpartition("/")[2]).statement.checkpoint is None
    evidence_keys.seal(spent.plane.database, KEYS)
    path = link(spent, project="HPC")
    note = read(path.rpartition("/")[2]).statement.checkpoint
    assert note.splitlines()[0].endswith(f"/{spent.org_id}/request_logs")
    assert note.splitlines()[1] == "3"
    told = verified(of_receiver(spent, path, tmp_path))
    assert told.returncode == 0, told.stdout
    assert "checkpoint    3 rows" in told.stdout


def test_nothing_is_signed_before_the_sealer_has_made_a_key(unsealed):
    unsealed.write(spend(DOLLAR))
    answer = ask(unsealed)
    assert answer.status == 422
    assert "there is no pack key" in words(answer.text)
    assert not events(unsealed)


def test_a_link_from_before_packs_opens_is_compared_and_gives_its_file(spent):
    key, now = Ed25519PrivateKey.generate(), utc_now()
    public = key.public_key().public_bytes_raw()
    said = json.loads(CONTENT) | {
        "org": str(spent.org_id),
        "kid": kid_of(public).hex(),
        "signed_at": (now - timedelta(days=1)).isoformat().replace("+00:00", "Z"),
        "live_until": (now + timedelta(days=1)).isoformat().replace("+00:00", "Z"),
        "from": f"{now:%Y-%m-01}",
        "to": f"{now:%Y-%m-%d}",
        "cost_usd": "3.000000001",
        "billed_usd": "4",
        "calls": 1,
    }
    content = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    path = f"/figures/{spelled(content)}.{spelled(key.sign(DOMAIN + content))}"
    assert stranger(spent, path).status == 404
    signing_key(spent, public, now - timedelta(days=2))
    told = words(stranger(spent, path).text)
    assert "The ledger gives the same figure today." in told
    assert kid_of(public).hex() in told
    held = json.loads(stranger(spent, f"{path}/figure.json").text)
    assert base64.b64decode(held["check"]["message"]) == DOMAIN + content
    packs = packs_key(spent)
    assert packs.fingerprint not in told


def signing_key(office, public, active_from):
    """A key of tokens, as figures were signed with before packs."""
    with office.plane.database.as_role("vis_super", office.org_id) as connection:
        connection.execute(
            """insert into vis_control.organisation_key (id, org_id, wrapped, generation, created_at)
               values (%s, %s, '', 1, now())""",
            [kek := uuid7(), office.org_id],
        )
        connection.execute(
            """insert into vis_control.signing_key (id, org_id, organisation_key_id, public, sealed, made_at, active_from)
               values (%s, %s, %s, %s, '', now(), %s)""",
            [uuid7(), office.org_id, kek, public, active_from],
        )


def test_a_forged_link_is_nothing(spent, new_office):
    path = link(spent, project="HPC")
    signed = read(path.rpartition("/")[2])
    forger = Ed25519PrivateKey.generate()
    other = new_office()
    other.write(spend(DOLLAR))
    theirs = read(link(other).rpartition("/")[2])
    said = signed.statement
    for forged in (
        sign(replace(said, cost_usd="4"), forger),
        sign(replace(said, scope={}), forger),
        sign(replace(said, organisation=theirs.statement.organisation), forger),
        sign(replace(said, organisation=said.organisation._replace(id="x")), forger),
        f"{spelled(signed.content)}.{spelled(theirs.signature)}",
        f"{spelled(signed.content.replace(b'HPC', b'SOC'))}.{spelled(signed.signature)}",
        path.rpartition("/")[2][:-1],
        "x",
        "x" * 5000,
    ):
        for address in (f"/figures/{forged}", f"/figures/{forged}/figure.json"):
            answer = stranger(spent, address)
            assert answer.status == 404
            assert "ArcTrade" not in answer.text


def test_a_revoked_key_is_not_believed_and_the_ledger_not_asked(spent):
    path = link(spent, project="HPC")
    with spent.plane.database.as_role("vis_super") as connection:
        connection.execute(
            "update vis.evidence_keys set revoked_at = now() where org_id = %s", [spent.org_id]
        )
    told = words(stranger(spent, path).text)
    assert "Do not rely on this figure" in told
    assert "today" not in told


def test_a_key_signs_no_figure_before_its_time_nor_after_it_was_replaced(spent):
    said = read(link(spent, project="HPC").rpartition("/")[2]).statement
    private, hour = Ed25519PrivateKey.generate(), timedelta(hours=1)
    path = f"/figures/{sign(said, private)}"
    sign_with(spent, private, active_from=said.signed_at + hour)
    assert stranger(spent, path).status == 404
    sign_with(spent, private, active_from=said.signed_at - hour, verify_until=said.signed_at - hour)
    assert stranger(spent, path).status == 404
    sign_with(spent, private, verify_until=said.signed_at)
    assert stranger(spent, path).status == 200


def test_after_its_time_the_page_compares_no_more(spent):
    text = link(spent, project="HPC").rpartition("/")[2]
    said = read(text).statement
    assert said.live_until == said.signed_at + timedelta(days=90)
    key = Ed25519PrivateKey.generate()
    began = datetime(2026, 1, 1, tzinfo=UTC)
    sign_with(spent, key, active_from=began)
    old = replace(said, signed_at=began + timedelta(days=1), live_until=utc_now() - timedelta(seconds=1))
    told = words(stranger(spent, f"/figures/{sign(old, key)}").text)
    assert "does not compare it with the ledger any more" in told
    assert "gives the same" not in told


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"project": "NONE"}, "The ledger has no spend of this"),
        ({"team": "grid", "agent": "alice@arctrade"}, "A figure is about all, a project"),
        ({"project": "x" * 81}, "at most 80 characters"),
    ],
)
def test_what_cannot_be_signed_is_said_and_what_was_typed_stays(spent, fields, told):
    answer = ask(spent, **fields)
    assert answer.status == 422
    assert told in words(answer.text)
    for value in fields.values():
        assert f'value="{value}"' in answer.text
    assert not events(spent)


def test_showing_a_figure_first_signs_nothing(spent):
    answer = ask(spent, project="HPC", show="1")
    assert answer.status == 200
    assert "3 .000000001 USD" in words(answer.text)
    assert not events(spent)


def test_the_form_is_not_sent_without_its_token(spent):
    assert spent.browser.post("/finance/figures", month=this_month()).status == 403


def test_hostile_names_stay_text(office):
    hostile = "<b>&\"'"
    office.write(spend(DOLLAR, project_id=hostile))
    path = link(office, project=hostile)
    for page in (stranger(office, path).text, office.browser.get("/finance/figures").text):
        assert "<b>" not in page
        assert hostile in unescape(page)


def test_the_open_page_takes_few_statements(spent):
    assert len(spent.plane.statements(spent.plane.browser(), link(spent))) < 8


def test_an_address_that_asks_too_often_waits(plane):
    with plane_on(plane.database, "sandbox") as own:
        statuses = [own.browser().get("/figures/x").status for _ in range(121)]
        assert statuses == [404] * 120 + [429]
