"""What every page owes to those who can't see it well, can't use a mouse or read otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from sreval.store.invitations import Links
from tests.site.conftest import LANGUAGES
from tests.study.designs import in_languages

from .conftest import READY, Window, intercept, submit, to_rating
from .study import Served, design, plain, served

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"

# Everything that is shown and has text of its own, with its colours as they come out on the page.
CONTRASTS = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, n) => sum + value * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (element) => {
    for (; element; element = element.parentElement) {
      const colour = parse(getComputedStyle(element).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const texts = [...document.querySelectorAll("body *")].filter((element) =>
    element.checkVisibility() && [...element.childNodes].some((node) =>
      node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  return texts.map((element) => {
    const [a, b] = [parse(getComputedStyle(element).color), ground(element)].map(light);
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [Math.round(ratio * 100) / 100, element.textContent.trim().slice(0, 40)];
  });
}"""

GREYS = """() => [...document.querySelectorAll("body, body *")].flatMap((element) => {
  const style = getComputedStyle(element);
  return [style.color, style.backgroundColor, style.borderTopColor, style.outlineColor];
})"""

TARGETS = """() => [...document.querySelectorAll("button, a, summary, label.choice, input")]
  .filter((element) => element.checkVisibility())
  .map((element) => element.closest("label.choice") ?? element)
  .map((element) => [element.innerText || element.id, element.getBoundingClientRect().height])"""


ROLES = "button|link|radio|textbox|spinbutton|progressbar|navigation|heading|img"


def arrive(page: Page, selector: str) -> None:
    """Wait for a page that has that element, and for the style sheet that lays it out."""
    page.wait_for_selector(selector)
    page.wait_for_load_state()


def walk(page: Page, link: str) -> Iterator[str]:
    """Every page of a whole way, by its stage, from consent to the code."""
    page.goto(link)
    yield "consent"
    submit(page, "consent")
    arrive(page, "form[data-stage=device] button:enabled")
    yield "device"
    submit(page, "device")
    arrive(page, "form[data-stage=questions]")
    yield "questions"
    page.locator("form[data-stage=questions]").evaluate("form => (form.noValidate = true)")
    submit(page, "questions")
    arrive(page, "[role=alert]")
    yield "questions with errors"
    page.locator("input[name=sight]").first.check()
    page.fill("input[name=distance]", "60")
    page.locator("input[name=light]").first.check()
    page.locator("#guide summary").press("Enter")
    expect(page.locator("#guide ol")).to_be_visible()
    yield "questions with the instructions"
    expect(page.locator("input[name=distance]")).to_have_value("60")
    submit(page, "questions")
    arrive(page, "form[data-stage=instructions]")
    yield "instructions"
    submit(page, "instructions")
    for position in range(1, 10):
        expect(page.locator("#count")).to_contain_text(re.compile(rf"\b{position}\b..*9"))
        page.wait_for_selector(READY)
        if position == 1:
            yield "rating"
        page.keyboard.press("3")
        if position == 6:
            arrive(page, "form[data-stage=break]")
            expect(page.locator("#guide")).to_be_visible()
            yield "break"
            submit(page, "break")
    arrive(page, "form[data-stage=closing]")
    yield "closing"
    submit(page, "closing")
    arrive(page, "#code")
    yield "done"


def check_page(page: Page, name: str) -> None:
    """What holds on every page."""
    page.wait_for_load_state()
    assert page.locator("h1").count() == 1, name
    assert page.get_by_role("main").count() == 1, name
    assert page.title(), name
    # what a screen reader is told, a line an element: its role and then its name in quotes
    told = page.locator("body").aria_snapshot()
    assert not re.search(rf"^ *- ({ROLES})\b(?! \")", told, re.M), (name, told)
    unnamed = "fieldset:not(:has(> legend)), [role=group]:not([aria-label])"
    assert page.locator(unnamed).count() == 0, name
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(element => element.id)")
    assert len(ids) == len(set(ids)), name
    # a screenshot leaves empty attributes behind
    styled = "[style]:not([style=''], #image, #stage), style, [onclick]"
    styled += ", script:not([src], [type$=json])"
    assert page.locator(styled).count() == 0, name
    low = [text for text in page.evaluate(CONTRASTS) if text[0] < 4.5]
    assert not low, (name, low)
    for colour in set(page.evaluate(GREYS)):
        red, green, blue, *_ = re.findall(r"[\d.]+", colour)
        assert red == green == blue, (name, colour)
    small = [target for target in page.evaluate(TARGETS) if target[1] < 44]
    small = [target for target in small if not target[0].endswith("?")]  # links in an error list
    assert not small, (name, small)


AXE = Axe()
OTHERS = sorted({*LANGUAGES} - {"de"})


def check_axe(page: Page, name: str) -> None:
    """axe finds nothing, in a window and as wide as one at a zoom of 400 %."""
    page.wait_for_load_state()
    before = page.viewport_size
    for width, height in ((1280, 900), (320, 568)):
        page.set_viewport_size({"width": width, "height": height})
        found = [
            (rule["id"], [node["html"][:120] for node in rule["nodes"]])
            for rule in AXE.run(page).response["violations"]
        ]
        assert not found, (name, width, found)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} must be scrolled sideways"
    if before:
        page.set_viewport_size(before)


@pytest.mark.parametrize(
    "language",
    [
        code if code in ("en", "ar") else pytest.param(code, marks=pytest.mark.evidence)
        for code in ("en", *LANGUAGES)
    ],
)
def test_every_page_of_a_whole_way(
    whole: Served, window: Window, tmp_path: Path, language: str
) -> None:
    seen = window(whole, size=(1100, 760), locale=language)
    page = seen.page
    for name in walk(page, whole.link()):
        check_page(page, f"{language} {name}")
        assert page.get_attribute("html", "lang") == language
        assert page.get_attribute("html", "dir") == ("rtl" if language == "ar" else "ltr")
        if name in ("device", "rating"):
            page.click("#leave summary")
            check_page(page, f"{language} {name}, leaving")
            page.click("#leave summary")
        page.screenshot(path=tmp_path / f"{language}-{name}.png".replace(" ", "-"))
        if language == "en" or (language, name) == ("ar", "rating"):
            check_axe(page, name)
        if name == "rating":
            page.wait_for_selector(READY)
    assert len(whole.votes()) == 9
    seen.check("422")


@pytest.mark.evidence
def test_text_pages_at_a_zoom_of_four_hundred_per_cent(tmp_path: Path, window: Window) -> None:
    content = design(title=LONG, instructions=f"{LONG} {LONG}")
    content["questions"][0]["text"] = LONG
    content["questions"][0]["options"] = [LONG, "No"]
    content["outcomes"] = {"complete": LONG}
    content["consent"] = {"version": "1", "text": LONG}
    with served(tmp_path / "study", content) as site:
        page = window(site, size=(1280, 720)).page
        for name in walk(page, site.link()):
            if name == "rating":
                continue
            page.set_viewport_size({"width": 320, "height": 180})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 320, f"{name} must be scrolled sideways"
            page.set_viewport_size({"width": 1280, "height": 720})


def test_lines_of_text_have_sixty_to_seventy_letters(whole: Served, window: Window) -> None:
    page = window(whole, size=(1280, 760)).page
    page.goto(whole.link())
    text = "She looked at the old photograph for a while and then at the new one. " * 40
    page.locator("main p").last.evaluate("(element, text) => (element.textContent = text)", text)
    lines = page.evaluate(
        """() => {
          const paragraph = [...document.querySelectorAll("main p")].at(-1);
          const range = document.createRange();
          range.selectNodeContents(paragraph);
          return new Set([...range.getClientRects()].map((line) => line.top)).size;
        }"""
    )
    assert 60 <= len(text) / lines <= 70


def test_long_words_of_a_scale_stay_in_their_buttons(tmp_path: Path, window: Window) -> None:
    words = ["ungenügend", "mangelhaft", "befriedigend", "sehr ordentlich", "ausgezeichnet"]
    with served(tmp_path / "study", plain(scale={"words": words}, language="de")) as site:
        page = window(site, size=(1000, 760)).page
        to_rating(page, site)
        for width in (1000, 500):
            page.set_viewport_size({"width": width, "height": 760})
            page.wait_for_selector(READY)
            for button in page.locator("#scores button").all():
                inner = button.evaluate("b => [b.scrollWidth - b.clientWidth, "
                                        "b.scrollHeight - b.clientHeight]")  # fmt: skip
                assert max(inner) <= 0, (width, button.inner_text())
            strip = page.locator("#strip").bounding_box()
            assert strip is not None
            assert strip["y"] + strip["height"] <= 760


def test_a_language_can_be_chosen_and_stays(whole: Served, window: Window) -> None:
    page = window(whole).page
    page.goto(whole.link())
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("button", name="Ich willige ein, weiter")).to_be_visible()
    submit(page, "consent")
    expect(page.locator("h1")).to_have_text("Ihr Bildschirm")


def test_a_kiosk_starts_clean_for_the_next_rater(tmp_path: Path, window: Window) -> None:
    with served(tmp_path / "study", plain()) as site:
        token = Links(site.store, "photographs").create("kiosk")[1]
        page = window(site, size=(1280, 860)).page
        sessions: set[str] = set()
        for _ in range(2):
            page.goto(f"{site.url}/r/{token}")
            if not sessions:
                check_page(page, "kiosk")
                check_axe(page, "kiosk")
            page.evaluate("localStorage.setItem('sreval-vote-s-1', '{}')")
            submit(page, "kiosk")
            expect(page.locator("form[data-stage=consent]")).to_be_visible()
            arrive(page, "form[data-stage=consent] button:enabled")
            assert page.evaluate("Object.keys(localStorage)") == []
            for stage in ("consent", "device", "instructions"):
                submit(page, stage)
            page.wait_for_selector(READY)
            expect(page.locator("#count")).to_have_text("Image 1 of 6")
            page.locator("summary").click()
            page.get_by_role("button", name="Leave the study now").click()
            page.get_by_role("link", name="Next rater").click()
            expect(page.locator("h1")).to_have_text("Welcome")
            sessions.add(str(page.context.cookies()))
        assert len(sessions) == 2


def test_a_second_sitting_waits_for_its_rest(tmp_path: Path, window: Window) -> None:
    sittings = {"items": 3, "rest_minutes": 600}
    with served(tmp_path / "study", plain(sittings=sittings)) as site:
        page = window(site, size=(1280, 860)).page
        to_rating(page, site)
        for position in range(1, 4):
            expect(page.locator("#count")).to_have_text(f"Image {position} of 6")
            page.wait_for_selector(READY)
            page.keyboard.press("4")
        expect(page.locator("h1")).to_have_text("This sitting is done, thank you")
        check_page(page, "rest")
        expect(page.locator("form[data-stage=rest] button")).to_be_disabled()
        expect(page.locator("#until")).to_have_text(re.compile(r"\d\d:\d\d$"))
        check_axe(page, "rest")


def test_messages_are_pages_too(brief: Served, window: Window) -> None:
    page = window(brief, size=(1280, 860)).page
    page.goto(f"{brief.url}/r/unknown")
    check_page(page, "unknown link")
    check_axe(page, "unknown link")
    page.goto(f"{brief.url}/study")
    check_page(page, "no session")


@pytest.mark.parametrize("clipboard", [True, False])
def test_the_code_is_copied_or_stays_selected(
    tmp_path: Path, window: Window, clipboard: bool
) -> None:
    """Without TLS a browser has no clipboard; here it doesn't know the old command either."""
    with served(tmp_path / "study", plain(outcomes={"declined": "NO-7"})) as site:
        page = window(site).page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        if not clipboard:
            page.add_init_script(
                "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
                "document.execCommand = () => false;"
            )
        page.goto(site.link())
        submit(page, "decline")
        check_page(page, "declined")
        page.get_by_role("button", name="Copy the code").click()
        said = "The code is copied." if clipboard else "The code is selected."
        expect(page.locator("#copied")).to_contain_text(said)
        assert page.evaluate("String(getSelection())") == "NO-7"
        if clipboard:
            assert page.evaluate("navigator.clipboard.readText()") == "NO-7"


def test_a_page_without_script_offers_no_button_that_needs_one(
    tmp_path: Path, window: Window
) -> None:
    with served(tmp_path / "study", plain(outcomes={"declined": "NO-7"})) as site:
        page = window(site, java_script_enabled=False).page
        page.goto(site.link())
        submit(page, "decline")
        expect(page.locator("#code")).to_have_text("NO-7")
        expect(page.get_by_role("button")).to_have_count(0)


def test_the_last_page_leads_back_by_itself_without_script(tmp_path: Path, window: Window) -> None:
    there = "https://panel.example/back?c=1"
    with served(tmp_path / "study", plain(outcomes={"declined": there})) as site:
        page = window(site, java_script_enabled=False).page
        page.route("https://panel.example/**", lambda route: route.fulfill(body="Welcome back"))
        page.goto(site.link())
        submit(page, "decline")
        page.wait_for_url(there, timeout=30_000)


def test_instructions_are_read_again_without_a_vote(brief: Served, window: Window) -> None:
    page = window(brief).page
    to_rating(page, brief)
    page.click("#leave summary")
    page.get_by_role("link", name="Read the instructions again").click()
    expect(page.locator("h1")).to_have_text("What you will do")
    expect(page.locator("form")).to_have_count(0)  # what waits is sent by the page of the images
    check_page(page, "instructions again")
    page.keyboard.press("3")
    page.get_by_role("link", name="Back to the current image").click()
    page.wait_for_selector(READY)
    expect(page.locator("#count")).to_have_text("Image 1 of 6")
    assert brief.votes() == []


def test_the_rating_pages_states(tmp_path: Path, window: Window) -> None:
    """Leaving, covered, without an image, with a long sentence in the header."""
    with served(tmp_path / "study", plain(viewing={"phones": True})) as site:
        page = window(site, size=(1280, 900)).page
        to_rating(page, site)
        check_axe(page, "rating")
        page.click("#leave summary")
        check_axe(page, "leaving")
        page.click("#leave summary")
        intercept(page, "**/api/vote", lambda route: route.fulfill(body="<h1>Log in</h1>"))
        page.wait_for_selector(READY)
        page.keyboard.press("3")
        expect(page.locator("#status")).to_contain_text("Something between you and the study")
        check_axe(page, "foreign")
        page.evaluate("Object.defineProperty(window, 'devicePixelRatio', {value: 0.2})")
        page.evaluate("dispatchEvent(new Event('resize'))")
        expect(page.locator("#cover")).to_be_visible()
        check_axe(page, "covered")


PHONES = {"portrait": (390, 844), "landscape": (844, 390), "small": (320, 568)}


@pytest.mark.parametrize(
    ("name", "language"),
    [
        *((name, "de") for name in PHONES),  # the longer words
        ("small", "en"),
        *(
            pytest.param(name, "en", marks=pytest.mark.evidence)
            for name in PHONES
            if name != "small"
        ),
    ],
)
def test_phones_show_all_of_the_rating_page(
    phones: Served, window: Window, name: str, language: str
) -> None:
    width, height = PHONES[name]
    ratio = 2 if name == "small" else 3
    page = window(
        phones,
        size=(width, height),
        device_scale_factor=ratio,
        is_mobile=True,
        has_touch=True,
        locale=language,
    ).page
    to_rating(page, phones, language)
    told = page.evaluate(
        """() => {
          const root = document.documentElement;
          const lines = [...document.querySelectorAll("#scores span")]
            .map((word) => word.getClientRects().length);
          const cut = [...document.querySelectorAll("header, header p, summary, #hint")]
            .filter((e) => e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight);
          return [root.scrollWidth, root.scrollHeight, lines, cut.map((e) => e.id || e.tagName)];
        }"""
    )
    assert told == [width, height, [1] * 5, []]
    hint = page.inner_text("#hint")
    assert ("Tap" in hint, "Tippen" in hint, "1 " in hint) == (
        language == "en",
        language == "de",
        False,
    )
    page.tap("[data-score='4']")
    expect(page.locator("#count")).to_contain_text("2")
    expect(page.locator("#status")).to_have_text({"en": "Saved", "de": "Gespeichert"}[language])


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    words = ["schlecht", "dürftig", "ordentlich", "gut", "ausgezeichnet"]
    content = plain(scale={"words": words}, language="de", viewing={"phones": True})
    content = in_languages(content, "en")
    with served(tmp_path_factory.mktemp("phones") / "study", content) as site:
        yield site


def test_a_phone_is_turned_where_that_helps(phones: Served, window: Window) -> None:
    page = window(
        phones, size=(568, 320), device_scale_factor=2, is_mobile=True, has_touch=True
    ).page
    page.goto(phones.link())
    submit(page, "consent")
    expect(page.locator("#advice")).to_have_text(
        "The images fit when you turn the screen. Please turn it."
    )
    page.set_viewport_size({"width": 320, "height": 568})
    expect(page.locator("#advice")).to_have_text("Your window is large enough.")
    submit(page, "device")
    expect(page.get_by_text("Tap one of the scores")).to_be_visible()
    expect(page.get_by_text("Press the key")).to_be_hidden()
    submit(page, "instructions")
    page.wait_for_selector("#image")
    page.set_viewport_size({"width": 568, "height": 320})
    expect(page.locator("#cover")).to_contain_text("Please turn it.")
    page.set_viewport_size({"width": 320, "height": 300})
    expect(page.locator("#cover")).to_contain_text("this screen is too small for the study")
    assert "F11" not in page.inner_text("#cover")


def test_feedback_stays_until_it_was_read(tmp_path: Path, window: Window) -> None:
    """By keyboard alone; the keys of the scores do nothing meanwhile."""
    content = plain(calibration={**design()["calibration"], "feedback": True})
    with served(tmp_path / "study", content) as site:
        page = window(site, size=(1280, 900)).page
        to_rating(page, site)
        meant = set()
        for position in (1, 2):
            expect(page.locator("#count")).to_contain_text(f"Image {position} of")
            page.wait_for_selector(READY)
            expect(page.locator("#hint")).not_to_contain_text("meant")
            page.keyboard.press("3")
            expect(page.locator("#next")).to_be_focused()
            expect(page.locator("#hint")).to_contain_text("You gave: 3 fair.")
            meant.add(page.locator("#hint bdi").last.inner_text())
            expect(page.locator("#stage img")).to_be_visible()
            expect(page.locator("#scores")).to_be_hidden()
            check_axe(page, "feedback")
            page.screenshot(path=tmp_path / f"feedback-{position}.png")
            page.keyboard.press("5")
            assert len(site.votes()) == position
            page.keyboard.press("Enter")
        expect(page.locator("#count")).to_contain_text("Image 3 of")
        expect(page.locator("#next")).to_be_hidden()
        page.wait_for_selector(READY)
        page.keyboard.press("5")
        expect(page.locator("#count")).to_contain_text("Image 4 of")
        assert meant == {"1 bad", "5 excellent"}
