"""`make screens`: what every page looks like, light and dark, wide and narrow, and what axe says of each, into docs/screens.

VIS_SCREENS_ROWS says how many rows the demo's month has; the whole month takes a few minutes longer.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from browser import QUIET, program
from house.furnished import furnished, signed_in
from house.looking import THEMES, Said, ask_axe, axe_source, looking
from house.pages import Route, explored
from npm.modules import installed

ROWS = int(os.environ.get("VIS_SCREENS_ROWS", "30000"))
INTO = Path(__file__).parent.parent.parent / "docs" / "screens"
WIDTHS = {"wide": 1280, "narrow": 400}
TALLEST = 1200
QUALITY = 30
SCALE = 0.8

QUESTIONS = {
    "operations": "the operator: what burns, what waits, what is in doubt, and is everything running?",
    "finance": "finance: what was spent, on what, and what is to be charged to whom?",
    "signed_figures": "finance: which figures were signed, and do they still hold?",
    "people": "people: who can use what now, and who has left?",
    "leavers": "people: which keys and roles still belong to somebody who left?",
    "person": "people: what may this person use, and what did they?",
    "offboarding": "people: what is the proof that somebody's access has ended?",
    "project": "projects: what did this project come to, and for what?",
    "key": "security and the operator: what may this key do, and who used it when?",
    "projects": "projects: how far is each project into its budget, and for what?",
    "security": "security: what was refused, which keys look wrong, and can history be changed?",
    "audit": "security and auditors: who changed what, when, from where, and what was it before?",
    "audit_event": "security and auditors: what exactly did one act change?",
    "controls": "security and auditors: which controls hold, what failed, and what does not operate?",
    "evidence": "security and auditors: which packs were made, and with which keys are they checked?",
    "evidence_pack": "auditors: what does this pack prove, and how is it checked without us?",
    "ledger": "everybody: which calls were made, each priced?",
    "row": "everybody: how did this cost come about, and whose is it?",
    "coverage": "everybody: how much of the spend is attributed, and by what evidence?",
    "budgets": "finance and the operator: what is each cap, and how far is it used?",
    "budget": "finance and the operator: how does this budget burn?",
    "keys": "security and the operator: which keys work, whose are they, when were they last used?",
    "queue": "finance: which spend waits for a project, and why?",
    "alerts": "finance and the operator: what was told, and to whom is it sent?",
    "allocation": "finance: what is marked up, and how are costs split?",
    "prices": "finance: which price counts for which model from when?",
    "hints": "the operator: which calls get another model than they ask for?",
    "limits": "the operator: who may ask how much in a minute?",
    "providers": "the operator: where do calls go?",
    "names": "the operator: which projects, customers, teams, agents and people are there?",
    "map": "the operator: which repository is of which project?",
    "connectors": "the operator: which trackers and Git hosts are read, and how does that go?",
    "floors": "security and the operator: which second factor does each project ask for?",
    "signing_keys": "security and the operator: what signs spend tokens, and since when?",
    "organisation_settings": "the operator: which rules hold for the whole organisation?",
    "members": "the operator: who may enter, and what may they see?",
    "sign_in_settings": "the operator: how does the company's own sign-on lead here?",
    "service_tokens": "the operator: which programs may act, and until when?",
    "account": "everybody: what do I sign in with, and where am I signed in?",
    "login": "a stranger: how do I get in?",
}
"""Whose page it is and what it answers. Other pages are the forms and the details of these."""

EXPLAINED = {
    "color-contrast": "a link is an arrow alone, or a cell is cut at the edge of a table that scrolls: axe measures no"
    " contrast there; both have the colours of the text around them, which it measures",
    "label-content-name-mismatch": "a link that is an arrow has its name in words: there is no visible word to compare",
}
"""Why axe cannot tell, by rule."""


@dataclass(frozen=True)
class Screen:
    """A page as it was photographed: `name` begins its files."""

    name: str
    route: Route
    title: str
    said: dict[str, Said]


def main() -> None:
    INTO.mkdir(parents=True, exist_ok=True)
    for old in INTO.glob("*.jpg"):
        old.unlink()
    axe = axe_source(installed())
    with furnished(ROWS) as product, chromium() as browser:
        base, state = str(product.summary["web"]), signed_in(product, browser)
        member, stranger = browser.new_context(storage_state=state), browser.new_context()
        house = explored(base, member.request, stranger.request)
        screens = []
        for cookies, pages in ((state, house.pages), (None, house.entrance)):
            with looking(browser, base, storage_state=cookies, device_scale_factor=SCALE) as (page, _):
                screens += [photographed(page, base, route, path, axe) for route, path in pages.items()]
    (INTO / "README.md").write_text(gallery(screens))
    (INTO / "axe.md").write_text(report(screens))


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


def photographed(page: Page, base: str, route: Route, path: str, axe: str) -> Screen:
    page.goto(base + path)
    page.evaluate(axe)
    said = {}
    name = route.name.replace("_", "-")
    for width, pixels in WIDTHS.items():
        for theme in THEMES:
            page.set_viewport_size({"width": pixels, "height": 900})
            page.emulate_media(color_scheme=theme)
            said[f"{theme}, {width}"] = ask_axe(page)
            tall = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": pixels, "height": min(max(tall, 600), TALLEST)})
            page.screenshot(path=INTO / f"{name}-{theme}-{width}.jpg", type="jpeg", quality=QUALITY)
    print(f"{name}: {path}")
    return Screen(name, route, page.title().removesuffix(" · Visionality"), said)


def gallery(screens: list[Screen]) -> str:
    lines = [
        "# What the pages look like",
        "",
        (
            "Every page of the house over the demo's month (`vis demo load arctrade`), written by `make screens`: light and dark,"
            f" {WIDTHS['wide']} and {WIDTHS['narrow']} pixels wide, cut after {TALLEST}, shown at four fifths. What axe says of them is in"
            " [axe.md](axe.md)."
        ),
        "",
        "| page | whose it is, and what it answers | wide | narrow |",
        "|---|---|---|---|",
    ]
    order = sorted(screens, key=lambda one: one.route.name not in QUESTIONS)
    lines += [
        f"| {one.title}, `{one.route.address}` | {QUESTIONS.get(one.route.name, 'a form or a detail')} | {_links(one, 'wide')} | {_links(one, 'narrow')} |"
        for one in order
    ]
    return "\n".join(lines) + "\n"


def _links(screen: Screen, width: str) -> str:
    return ", ".join(f"[{theme}]({screen.name}-{theme}-{width}.jpg)" for theme in THEMES)


def report(screens: list[Screen]) -> str:
    violations = [
        f"- `{one.route.address}`, {look}: {text}"
        for one in screens
        for look, said in one.said.items()
        for text in said.violations
    ]
    unsure = Counter(
        text.partition(":")[0] for one in screens for said in one.said.values() for text in said.incomplete
    )
    looks = sum(len(one.said) for one in screens)
    lines = [
        "# What axe says of every page",
        "",
        (
            "axe-core 4.14 in Chromium: WCAG 2.0, 2.1 and 2.2, levels A and AA, and its rules on headings, landmarks and table heads;"
            " over the demo's month, written by `make screens`. `make house` asks the same."
        ),
        "",
        f"{len(screens)} pages, {looks} looks: **{len(violations)} violations**.",
        "",
        *([*violations, ""] if violations else []),
        "## What axe cannot tell",
        "",
        *(
            f"- `{rule}`, {count} times: {EXPLAINED.get(rule, 'not looked at yet')}"
            for rule, count in unsure.items()
        ),
        "",
        "## Page by page",
        "",
        "Rules that hold, and places that axe cannot tell.",
        "",
        "| page | " + " | ".join(screens[0].said) + " |",
        "|---|" + "---|" * len(screens[0].said),
    ]
    for one in screens:
        cells = (_cell(said) for said in one.said.values())
        lines.append(f"| `{one.route.address}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(said: Said) -> str:
    unsure = f", {len(said.incomplete)} unsure" if said.incomplete else ""
    wrong = f"**{len(said.violations)} violations**, " if said.violations else ""
    return f"{wrong}{len(said.passed)} hold{unsure}"


if __name__ == "__main__":
    main()
