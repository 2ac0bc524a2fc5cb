"""Attacks 38 to 40: secrets where they are not looked after, logs that lie, packages that are not ours (promises K5, S3)."""

import json
import os
import re
import tomllib
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from attacks.attacker import logs
from attacks.test_stolen_dashboard import _tables
from gateway.calls import CHAT, MESSAGES, ask, body_of
from web.browsing import Browser

ROOT = Path(__file__).parents[2]
PROVIDER_KEY = "sk-canary-of-the-provider-0123456789"
LATIN = "latin-1"


@pytest.mark.attack(38)
def test_no_secret_stands_where_nobody_looks_after_it(product, backend, seen):
    """Through every kind of route and every kind of end: answered, refused, broken, timed out, minted, rotated."""
    product.run("provider", "add", "canary", "--base-url", "http://127.0.0.1:9/v1", stdin=f"{PROVIDER_KEY}\n")
    key = backend.issue("--scope", "call", "--scope", "mint")
    pair = json.loads(product.run("key", "issue", "--agent", "alice@arctrade", "--aws-pair", "--json"))
    token = backend.minted(key["handle"], cap_usd="5")
    canaries = {key["handle"], key["envelope"], token, PROVIDER_KEY, pair["handle"]}
    canaries |= {value for name, value in pair.items() if "secret" in name and isinstance(value, str)}
    plans = [{}, {"status": 500}, {"status": 429}, {"first_delay_ms": 50}, {"cut_after": 1}]
    paths = [
        CHAT,
        MESSAGES,
        "/v1/responses",
        "/canary" + CHAT,
        "/bedrock/model/x/converse",
        "/v1beta/models/g:generateContent",
    ]
    calls = 0
    for credential in (
        key["handle"],
        key["envelope"],
        token,
        key["envelope"] + "x",
        token[:-1],
        key["handle"] + "0",
    ):
        for path in (
            *paths,
            "/v1/models",
            "/usage/card",
            "/spend-tokens",
            f"/{credential}",
            f"/v1/models?key={credential}",
        ):
            for plan in plans if path in {CHAT, MESSAGES} else plans[:1]:
                headers = [("x-api-key", credential), ("x-sandbox-plan", json.dumps(plan))]
                headers += [("content-type", "application/json"), ("x-acc-caller", credential)]
                reply = ask(product.gateway, "POST", path, headers, body_of(path, max_tokens=8))
                calls += 1
                assert credential.encode() not in reply.body, path
    backend.post(key["handle"], key=os.urandom(32))
    backend.post(token, proof=credential)
    product.run("key", "rotate", key["id"], "--reason", "canaries")
    spelled = {
        backend.key.hex(),
        b64encode(backend.key).decode(),
        urlsafe_b64encode(backend.key).decode().rstrip("="),
    }
    master = (product.data_dir / "master.key").read_text().strip()
    product.until(lambda: product.query("select 1 from vis.strangers"))
    places = _tables(product) | logs(product)
    places["/metrics"] = ask(product.summary["jobs"], "GET", "/metrics", []).body.decode()
    hits = [
        (name, one[:12])
        for name, text in places.items()
        for one in canaries | spelled | {master}
        if one in text
    ]
    assert hits == []
    seen(f"{calls} calls with {len(canaries)} canaries, then {len(places)} tables, logs and metrics: no hit")


@pytest.mark.attack(39)
def test_what_strangers_write_cannot_end_a_line_of_a_log(product, seen):
    wicked = ['%0d%0a{"event":"forged"}', "%1b[2J%1b[31m", "a%22,%22level%22:%22x", "%00", "%e2%80%a8x"]
    said = ['x","level":"critical', "\x1b[31mred", "a\tb", "\u00e9".encode().decode(LATIN)]
    before = {name: len(text) for name, text in logs(product).items()}
    page = Browser(urlsplit(product.summary["web"]).port)
    for text in wicked:
        ask(product.gateway, "POST", f"/v1/{text}", [("x-api-key", f"visk_live_{text}")], b"{}")
        page.get(f"/{text}")
        page.get(f"/login/{text}")
        page.get(f"/?before={text}")
        page.get(f"/rows/{text}", host="evil.example")
        page._ask("POST", f"/{text}", b"x", {})
        page._ask("POST", f"/logout?{text}", b"x", {"origin": f"http://{text}", "referer": f"http://{text}/"})
    for text in said:
        raw = text.encode(LATIN)
        ask(
            product.gateway,
            "POST",
            CHAT,
            [("x-api-key", raw), ("user-agent", raw), ("x-client-request-id", raw)],
            b"{}",
        )
        page.get("/login", host=text.replace("\t", ""))
    lines = 0
    for name, text in logs(product).items():
        if name in {"postgres.log", "sandbox.log"}:
            continue
        fresh = text[before.get(name, 0) :]
        assert "\x1b" not in fresh, name
        for line in filter(None, fresh.splitlines()):
            lines += 1
            assert isinstance(json.loads(line), dict), (name, line)
            assert json.loads(line).get("event") != "forged"
    seen(f"{len(wicked) + len(said)} texts at gateway and pages: {lines} lines, each one JSON object")


@pytest.mark.attack(40)
def test_every_package_is_locked_by_its_hash_and_litellm_is_none(seen):
    lock = (ROOT / "requirements.lock").read_text()
    packages = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    assert len(packages) > 50
    for one in packages:
        assert re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*==[^ ]+", one), one[:60]
        assert "--hash=sha256:" in one, one[:60]
    assert not re.search(r"(?mi)^litellm\b", lock)
    project = (ROOT / "pyproject.toml").read_text()
    wanted = tomllib.loads(project)
    lists = [wanted["project"]["dependencies"], *wanted["project"]["optional-dependencies"].values()]
    named = [one for each in [*lists, *wanted["dependency-groups"].values()] for one in each]
    assert not [one for one in named if one.lower().startswith("litellm")]
    assert "--require-hashes" in (ROOT / "Makefile").read_text()
    assert "git+" not in lock + project
    seen(f"{len(packages)} packages, each with its hashes; no litellm")
