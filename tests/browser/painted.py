"""What stands below an image in the frame in which it is first painted."""

from __future__ import annotations

from playwright.sync_api import Page

WATCH = """() => {
  window.painted = [];
  const look = () => {
    const strip = document.getElementById("strip");
    const styles = [strip, ...strip.querySelectorAll("*")].map((element) => {
      const style = getComputedStyle(element);
      return [...style].map((name) => name + style.getPropertyValue(name));
    });
    return JSON.stringify([strip.innerText, styles]);
  };
  new MutationObserver((changes) => {
    if (changes.some((change) => [...change.addedNodes].some((node) => node.id === "image"))) {
      requestAnimationFrame(() => painted.push(look()));
    }
  }).observe(document, { childList: true, subtree: true });
}"""
"""Keeps, for each image, the text of the strip and every computed style of every element in it."""

INPUTS = ("key", "mouse", "enter")


def watch(page: Page) -> None:
    """Keep what stands below every image; to be called before the page is opened."""
    page.add_init_script(f"({WATCH})()")


def give(page: Page, by: str, score: int) -> None:
    """One vote by "key", "mouse", "touch" or "enter", which is a key on a focused button."""
    button = f"#scores [data-score='{score}']"
    if by == "key":
        page.keyboard.press(str(score))
    elif by == "enter":
        page.focus(button)
        page.keyboard.press("Enter")
    elif by == "touch":
        page.tap(button)
    else:
        page.click(button)


def like_the_first(page: Page, count: int) -> int:
    """Of the ``count`` images after the first, which no vote had been given before, how many had
    nothing below them that the first had not.

    Waits until all are painted, for 30 s at most.
    """
    for _ in range(600):
        if page.evaluate("painted.length") > count:
            break
        page.wait_for_timeout(50)
    first, *later = page.evaluate("painted")
    return sum(strip == first for strip in later)
