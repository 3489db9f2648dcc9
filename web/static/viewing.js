// What the pages of the viewing checks share: what was observed goes into the form, whose button
// opens when there is something to send.

import { arrow } from "./keys.js";

const form = document.querySelector("form[data-stage=checks]");
const button = form.querySelector("button");

/** What the page was given. */
export const page = JSON.parse(document.getElementById("page")?.textContent ?? "null");

/** Device pixels to one CSS pixel as they are on the screen now, pinching counted in. */
export const ratio = () => window.devicePixelRatio * (window.visualViewport?.scale ?? 1);

/** Keep what was observed at the present zoom. */
export function observed(facts) {
  form.elements.facts.value = JSON.stringify({ ratio: ratio(), ...facts });
  button.disabled = false;
}

/** What was observed doesn't hold any more. */
export function forget() {
  form.elements.facts.value = "";
  button.disabled = true;
}

/** Say that all is done, and lead to the button that goes on. */
export function finish(words) {
  document.getElementById("over").textContent = words;
  button.focus();
}

/** Call `then` when the zoom has changed, which spoils what was observed before. */
export function whenZoomed(then) {
  let last = ratio();
  const look = () => {
    if (ratio() === last) return;
    last = ratio();
    forget();
    then();
  };
  window.addEventListener("resize", look);
  window.visualViewport?.addEventListener("resize", look);
}

/** A slider and the buttons beside it; `then` is told its number whenever the rater changes it. */
export function slider(input, then) {
  const told = () => then(Number(input.value));
  input.addEventListener("input", told);
  for (const side of input.parentElement.querySelectorAll("button")) {
    side.addEventListener("click", () => {
      input.value = Number(input.value) + Number(side.dataset.by);
      told();
    });
  }
}

const KEYS = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

/** Buttons for the four directions, and the arrow keys. `give` is told what was chosen. */
export function directions(give) {
  for (const one of document.querySelectorAll(".directions button")) {
    one.addEventListener("click", () => give(one.dataset.answer));
  }
  document.addEventListener("keydown", (event) => {
    const chosen = KEYS[arrow(event)];
    if (!chosen) return;
    event.preventDefault(); // the page would scroll
    if (!event.repeat) give(chosen);
  });
}

/** No more answers are taken. */
export function closeDirections() {
  for (const one of document.querySelectorAll(".directions button")) one.disabled = true;
}

/** A sentence with {n} and {of} filled in. */
export const fill = (words, n, of) => words.replace("{n}", n).replace("{of}", of);
