"""Every page in a real browser: WCAG AA by axe, strict loading, a phone's width, the keyboard, and no script at all."""

from dataclasses import dataclass

import pytest

from browser import NARROW
from house.looking import OF_COLOUR, Heard, Said, ask_axe, looking, unfit


@dataclass(frozen=True)
class Look:
    """At one page: what was heard, and what axe says of it in light and in dark, and what does not fit a phone."""

    heard: Heard
    light: Said
    dark: Said
    misfits: list[str]
    answer: bytes
    text: str


@pytest.fixture(scope="module")
def looks(house, base, state, chromium, axe) -> dict[str, Look]:
    """One look at every page, by its path."""
    with looking(chromium, base, storage_state=state) as member, looking(chromium, base) as stranger:
        return {
            path: look_at(*who, base + path, axe)
            for who, pages in ((member, house.pages), (stranger, house.entrance))
            for path in pages.values()
        }


def look_at(page, heard, url, axe):
    heard.complaints.clear()
    heard.strangers.clear()
    answer = page.goto(url).body()
    text = said_by(page)
    seen = Heard(list(heard.complaints), list(heard.strangers))
    page.evaluate(axe)
    light = ask_axe(page)
    page.emulate_media(color_scheme="dark")
    dark = ask_axe(page, *OF_COLOUR)
    page.emulate_media(color_scheme="light")
    misfits = unfit(page)
    page.set_viewport_size({"width": 1280, "height": 900})
    return Look(seen, light, dark, misfits, answer, text)


def said_by(page):
    """What a reader is told; not a button that stands in for a script."""
    page.locator("noscript").evaluate_all("all => all.forEach(one => one.remove())")
    return page.locator("main").inner_text()


def answering(body):
    return lambda route: route.fulfill(body=body, content_type="text/html")


def faults(looks, of):
    return {path: found for path, look in looks.items() if (found := of(look))}


def test_every_page_of_the_url_map_is_led_to_by_links_and_no_link_leads_nowhere(house):
    assert house.broken == {}
    assert house.lonely == [], "link to it, or say in LED_TO_OTHERWISE why nothing does"


def test_axe_finds_no_violation_of_wcag_aa_on_any_page_in_light_and_in_dark(looks):
    assert faults(looks, lambda look: look.light.violations) == {}
    assert faults(looks, lambda look: look.dark.violations) == {}
    assert all("color-contrast" in said.passed for look in looks.values() for said in (look.light, look.dark))


def test_no_page_complains_or_asks_another_host_for_anything(looks):
    assert faults(looks, lambda look: look.heard.complaints) == {
        "/login/nothing": ["Failed to load resource: the server responded with a status of 410 (Gone)"]
    }
    assert faults(looks, lambda look: look.heard.strangers) == {}


def test_every_page_fits_a_phone(looks):
    assert faults(looks, lambda look: look.misfits) == {}


def test_without_script_every_page_says_the_same(looks, house, base, state, chromium):
    """Of the same bytes, because the next ones are of another moment."""
    with looking(chromium, base, storage_state=state, java_script_enabled=False) as (page, heard):
        differing = {}
        for path in house.pages.values():
            page.route(base + path, answering(looks[path].answer))
            page.goto(base + path)
            if (said := said_by(page)) != looks[path].text:
                differing[path] = (said, looks[path].text)
        assert differing == {}
        assert heard == Heard()


HERE = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const mark = one.classList.contains('menu') ? getComputedStyle(one.nextElementSibling) : style;
  return {
    place: [...document.querySelectorAll('body *')].indexOf(one), what: one.outerHTML.slice(0, 100),
    isMarked: mark.outlineStyle !== 'none' && parseFloat(mark.outlineWidth) >= 2,
    isShown: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0 && box.top < innerHeight,
  };
}"""
STOPS = """() => { const all = [...document.querySelectorAll('body *')]; return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]')]
  .filter(one => !one.disabled && one.checkVisibility({visibilityProperty: true})).map(one => all.indexOf(one)); }"""


@pytest.mark.parametrize("options", [{}, {"viewport": NARROW}], ids=["wide", "narrow"])
@pytest.mark.parametrize("path", ["/", "/coverage"])
def test_tab_reaches_every_link_and_control_in_the_order_of_reading_and_shows_where_it_is(
    base, state, chromium, path, options
):
    with looking(chromium, base, storage_state=state, **options) as (page, _):
        page.goto(base + path)
        stops, places = page.evaluate(STOPS), []  # what scrolls is a place too
        page.keyboard.press("Tab")
        while (here := page.evaluate(HERE))["place"] >= 0:
            assert here["isMarked"], here
            assert here["isShown"], here
            if here["place"] not in places[-1:]:  # a date is one control of three parts
                places.append(here["place"])
            page.keyboard.press("Tab")
        assert places == sorted(set(places))
        assert set(stops) <= set(places)
