// How a rater answers: one of several buttons, or a mark on a line. Both tell `give` the score, and
// both are open only while `allow` says so.

import { arrow, digit, letter } from "./keys.js";

/** Buttons with a score each. `scale` as the page has it: first, words, keys; of a pair the keys
 * alone, several for one answer. */
export class Buttons {
  #scale;
  #group;
  #buttons;

  constructor(scale, group, give) {
    this.#scale = scale;
    this.#group = group;
    this.#buttons = [...group.querySelectorAll("button")];
    const keys = Object.entries(scale.keys);
    const scores = new Map(
      keys.flatMap(([score, own]) => [own].flat().map((key) => [key, Number(score)])),
    );
    document.addEventListener("keydown", (event) => {
      const onButton = group.contains(event.target.closest?.("button"));
      if (event.repeat && onButton && event.key !== "Tab") event.preventDefault();
      const score = scores.get(String(arrow(event) ?? digit(event) ?? letter(event)));
      if (score === undefined) return;
      event.preventDefault(); // some keyboards have a browser's shortcut on that key
      if (!event.repeat) give(score);
    });
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button && event.detail <= 1) give(Number(button.dataset.score)); // 2: a double click
      if (event.detail) unfocus(group); // else the space bar would press it again
    });
  }

  allow(yes) {
    for (const button of this.#buttons) button.setAttribute("aria-disabled", String(!yes));
  }

  /** Light what was chosen. */
  chosen(score) {
    this.#buttons.find(({ dataset }) => Number(dataset.score) === score).classList.add("chosen");
  }

  /** Nothing of the last answer may stand beside the next image. */
  forget() {
    for (const button of this.#buttons) button.classList.remove("chosen");
    unfocus(this.#group);
  }

  /** The word at a score, "" where none stands. */
  word(score) {
    return this.#scale.words[score - this.#scale.first];
  }

  /** An answer as its button has it. */
  name(score) {
    return this.#buttons.find(({ dataset }) => Number(dataset.score) === score).textContent.trim();
  }

  /** The key of a score. */
  key(score) {
    return this.#scale.keys[score].toUpperCase();
  }
}

const TOP = 100;
const MIDDLE = 50;
const MOVES = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -10,
  PageUp: 10,
  Home: -TOP,
  End: TOP,
};

/** A line from 0 to 100. There is no mark on it until the rater puts one there, and without a mark
 * nothing can be confirmed. `unmarked` is what a screen reader says until then. */
export class Line {
  #words;
  #unmarked;
  #group;
  #line;
  #input;
  #mark;
  #confirm;
  #give;
  #open = false;
  #value = null;

  constructor(scale, group, give, unmarked) {
    this.#words = scale.words;
    this.#unmarked = unmarked;
    this.#group = group;
    this.#give = give;
    this.#line = group.querySelector("#line");
    this.#input = group.querySelector("input");
    this.#mark = group.querySelector("#mark");
    this.#confirm = group.querySelector("#confirm");
    this.#listen();
  }

  #listen() {
    this.#line.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.#open) return;
      event.preventDefault();
      this.#line.setPointerCapture(event.pointerId);
      this.#input.focus({ preventScroll: true });
      this.#point(event);
    });
    this.#line.addEventListener("pointermove", (event) => {
      if (this.#open && this.#line.hasPointerCapture(event.pointerId)) this.#point(event);
    });
    // what a screen reader does to the line
    this.#input.addEventListener("input", () => {
      if (this.#open) this.#put(Number(this.#input.value));
      else this.#show();
    });
    this.#confirm.addEventListener("click", (event) => event.detail <= 1 && this.#send());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    const shortcut = event.ctrlKey || event.altKey || event.metaKey;
    const elsewhere = event.target.closest?.("a, summary, form, textarea, button:not(#confirm)");
    if (shortcut || elsewhere) return;
    const move = MOVES[event.key];
    if (move !== undefined) {
      event.preventDefault();
      const ends = Math.abs(move) === TOP;
      if (this.#open) this.#put(this.#value === null && !ends ? MIDDLE : (this.#value ?? MIDDLE) + move);
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (!event.repeat) this.#send();
    }
  }

  #point(event) {
    const { left, width } = this.#line.getBoundingClientRect();
    this.#put(((event.clientX - left) / width) * TOP);
  }

  #put(value) {
    this.#value = Math.round(Math.min(TOP, Math.max(0, value)) * 10) / 10;
    this.#show();
  }

  #show() {
    const marked = this.#value !== null;
    this.#mark.hidden = !marked;
    this.#mark.style.left = `${this.#value ?? MIDDLE}%`;
    this.#input.value = this.#value ?? MIDDLE;
    this.#input.setAttribute("aria-valuetext", marked ? this.word(this.#value) : this.#unmarked);
    this.#confirm.setAttribute("aria-disabled", String(!(this.#open && marked)));
  }

  #send() {
    if (this.#open && this.#value !== null) this.#give(this.#value);
  }

  allow(yes) {
    this.#open = yes;
    this.#show();
  }

  /** The mark stays where it was put, until it is forgotten. */
  chosen() {}

  /** Nothing of the last answer may stand beside the next image. */
  forget() {
    this.#value = null;
    this.#show();
    unfocus(this.#group);
  }

  /** The word of the part in which a score lies. */
  word(score) {
    return this.#words[Math.min(Math.floor((score * this.#words.length) / TOP), this.#words.length - 1)];
  }

  /** Raters see no numbers. */
  name(score) {
    return this.word(score);
  }

  /** No score has a key. */
  key() {
    return "";
  }
}

/** Tab goes on from the group, whose parts show no focus any more. */
function unfocus(group) {
  if (group.contains(document.activeElement)) group.focus({ preventScroll: true });
}
