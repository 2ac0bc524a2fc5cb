"""Filling a form in, as a browser does: the page is loaded, its hidden fields are sent back."""

import re
from html import unescape
from typing import Any

from web.browsing import Answer, Browser
from web.conftest import Office

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?')


def submit(browser: Browser, path: str, **fields: str) -> Answer:
    """POST a form of this page with these fields; those that are hidden in it go along."""
    return browser.post(path, **hidden(browser.get(path)), **fields)


def hidden(page: Answer) -> dict[str, str]:
    """The hidden fields of the page's main content."""
    assert page.status in (200, 422), page.status
    main = page.text.partition('<main id="content">')[2]
    return {name: unescape(value) for name, value in HIDDEN.findall(main)}


def done(browser: Browser, path: str, **fields: str) -> str:
    """Submit a form that succeeds. Returns the text of the page that it leads to, with its notice."""
    answer = submit(browser, path, **fields)
    assert answer.status == 302, (answer.status, said(answer.text))
    return said(browser.get(answer.headers["location"]).text)


def said(page: str) -> str:
    """The main content as text."""
    main = page.partition('<main id="content">')[2].partition("</main>")[0]
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", main).split()))


def audited(office: Office, kind: str) -> list[dict[str, Any]]:
    """The details of the audit rows of this kind; each names who did it and from where."""
    with office.plane.database.as_role("vis_reader", office.org_id) as connection:
        found = connection.execute(
            "select actor, source_ip, detail from vis.admin_events where org_id = %s and kind = %s order by seq",
            [office.org_id, kind],
        ).fetchall()
    assert all(actor and str(address).startswith("127.0.0.1") for actor, address, _ in found)
    return [detail for _, _, detail in found]


def stored(office: Office, query: str) -> list[tuple[Any, ...]]:
    """What the control plane keeps of the organisation; the query is told its id once."""
    with office.plane.database.as_role("vis_web", office.org_id) as connection:
        return connection.execute(query, [office.org_id]).fetchall()
