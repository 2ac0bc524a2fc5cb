"""`vis member`, `vis org add` and `vis org oidc`: the same acts as on the pages, for the machine's operator."""

import json
import urllib.request


def test_an_invitation_is_a_link_to_the_pages(product):
    link = product.run(
        "member", "invite", "Robin@Example.com", "--role", "finance", "--role", "auditor"
    ).strip()
    assert link.startswith(str(product.summary["web"]).rstrip("/") + "/join/")
    with urllib.request.urlopen(link, timeout=30) as page:
        told = page.read().decode()
    assert "robin@example.com" in told
    assert "auditor, finance" in told


def test_what_cannot_be_a_member_is_told_in_a_sentence(product):
    done = product.try_run("member", "invite", "nobody", "--role", "finance")
    assert (done.returncode, "'nobody' is no e-mail address" in done.stderr) == (1, True)
    for words in (
        ("set", "x@example.com", "--role", "finance"),
        ("remove", "x@example.com"),
        ("password", "x@example.com"),
    ):
        done = product.try_run("member", *words)
        assert (done.returncode, "there is no member x@example.com" in done.stderr) == (1, True)


def test_an_organisation_is_added_and_its_commands_name_it(product):
    product.run("org", "add", "second-house", "--name", "Second House")
    slugs = [json.loads(line)["slug"] for line in product.run("org", "list", "--json").splitlines()]
    assert {"default", "second-house"} <= set(slugs)
    assert "Second House" in product.run("org", "show", "--org", "second-house")
    assert product.run("project", "list", "--org", "second-house") == ""
    for slug in ("second-house", "Not A Slug", "x" * 61):
        assert product.try_run("org", "add", slug, "--name", "X").returncode == 1


def test_the_sign_on_is_set_shown_and_removed_and_its_secret_is_in_no_output(product):
    product.run("org", "add", "third-house", "--name", "Third House")
    told = product.run(
        *(
            "org",
            "oidc",
            "set",
            "--title",
            "Okta",
            "--issuer",
            "https://acme.okta.com",
            "--client-id",
            "0oa1",
        ),
        *("--domain", "third.example", "--org", "third-house"),
        stdin="a-client-secret\n",
    )
    assert "/login/company/" in told
    shown = product.run("org", "oidc", "show", "--json", "--org", "third-house")
    assert json.loads(shown)["issuer"] == "https://acme.okta.com"
    assert "a-client-secret" not in told + shown
    product.run("org", "oidc", "remove", "--org", "third-house")
    done = product.try_run("org", "oidc", "show", "--org", "third-house")
    assert "no sign-on of its own" in done.stderr


def test_the_links_of_one_organisation_sign_in_to_it_alone(product):
    product.run("org", "add", "fourth-house", "--name", "Fourth House")
    link = product.run("login", "--org", "fourth-house").strip()
    jar = urllib.request.HTTPCookieProcessor()
    opener = urllib.request.build_opener(jar)
    with opener.open(link, timeout=30) as page:
        assert "Fourth House" in page.read().decode()
