"""Looking at a page in a real browser: what axe says of it, what it loads, what it complains of, whether it fits.

axe-core (Deque Systems, MPL 2.0) comes from npm. It is run from outside the page, so the page's own policy stays in force.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

from browser import NARROW, WIDE
from npm.modules import Modules

THEMES = ("light", "dark")
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_STRUCTURE = ("heading-order", "region", "landmark-unique", "empty-table-header", "page-has-heading-one")
"""Rules that axe calls best practice and this house keeps too."""
OF_COLOUR = ("color-contrast", "link-in-text-block")
"""What can differ between light and dark: all other rules read the document, which is the same."""
RUN = """([levels, also, only]) => axe.run(document, {
  preload: false,
  resultTypes: ['violations', 'incomplete'],
  ...(only.length ? {runOnly: {type: 'rule', values: only}}
    : {runOnly: {type: 'tag', values: [...levels, 'best-practice']},
       rules: Object.fromEntries(axe.getRules(['best-practice']).map(one => [one.ruleId, {enabled: also.includes(one.ruleId)}]))}),
}).then(found => ({passes: found.passes.map(one => one.id), violations: found.violations, incomplete: found.incomplete}))"""


@dataclass(frozen=True, slots=True)
class Said:
    """What axe says of a page in one theme: rules that hold, and sentences on what is wrong or what it cannot tell."""

    passed: list[str]
    violations: list[str]
    incomplete: list[str]


@dataclass
class Heard:
    """What a page said while it was looked at: complaints of its console, and addresses of other hosts that it asked for."""

    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)


@contextmanager
def looking(browser: Browser, base: str, **options: Any) -> Iterator[tuple[Page, Heard]]:
    """A page of a browser of somebody's own, `storage_state` being their cookies."""
    context: BrowserContext = browser.new_context(**{"viewport": WIDE, **options})
    try:
        page, heard = context.new_page(), Heard()
        page.on(
            "console", lambda said: said.type in {"error", "warning"} and heard.complaints.append(said.text)
        )
        page.on("pageerror", lambda error: heard.complaints.append(str(error)))
        page.on("request", lambda one: _is_ours(one.url, base) or heard.strangers.append(one.url))
        yield page, heard
    finally:
        context.close()


def axe_source(modules: Modules) -> str:
    return (modules.folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def ask_axe(page: Page, *only: str) -> Said:
    """Run all rules of the house, or only these, on the page as it stands. axe is in it already."""
    found = page.evaluate(RUN, [LEVELS, list(OF_STRUCTURE), list(only)])
    return Said(found["passes"], _sentences(found["violations"]), _sentences(found["incomplete"]))


def unfit(page: Page) -> list[str]:
    """What makes the page scroll sideways at the width of a phone, and cells of which each letter has a line."""
    page.set_viewport_size(NARROW)
    return page.evaluate(
        """() => {
          const room = document.documentElement.clientWidth, all = [...document.querySelectorAll('main *, header *')];
          const wide = document.documentElement.scrollWidth <= room ? [] : all.filter(one => one.getBoundingClientRect().right > room + 1);
          const inner = (one, style) => one.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
          const isSeen = one => !one.querySelector(':scope > .hidden') && getComputedStyle(one.closest('thead') ?? one).position !== 'absolute';
          const thin = all.filter(one => one.matches('td, th') && one.checkVisibility() && isSeen(one) && one.innerText.trim().length > 3
            && inner(one, getComputedStyle(one)) < 20);
          return [...wide.slice(0, 3), ...thin.slice(0, 3)].map(one => one.outerHTML.slice(0, 120));
        }"""
    )


def _is_ours(url: str, base: str) -> bool:
    return url.startswith((f"{base}/", "data:"))


def _sentences(found: list[dict[str, Any]]) -> list[str]:
    return [
        f"{rule['id']}: {' '.join(node['target'])}: {_reason(node)}"
        for rule in found
        for node in rule["nodes"]
    ]


def _reason(node: dict[str, Any]) -> str:
    checks = [*node["any"], *node["all"], *node["none"]]
    return " ".join(one["message"] for one in checks)
