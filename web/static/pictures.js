// The pictures of an item: all at once, side by side, or one at a time in one place.

import { painted, place, wait } from "./image.js";
import { digit, meansOther } from "./keys.js";
import { Span } from "./look.js";

/** All at once. `names` are the texts of each place: alt, and a caption where it has one. */
export class Side {
  #stage;
  #captions;
  #names;
  #gap;
  #shown = [];

  constructor(stage, captions, { names, gap }) {
    this.#stage = stage;
    this.#captions = captions;
    this.#names = names;
    this.#gap = gap;
  }

  get empty() {
    return this.#shown.length === 0;
  }

  clear() {
    this.#shown = [];
    this.#stage.replaceChildren();
    this.#captions?.replaceChildren();
  }

  /** Put decoded images on the page: {image, place, width, height}, from the left. */
  async show(pictures) {
    this.#shown = pictures;
    for (const picture of pictures) dress(picture, this.#names);
    this.#captions?.replaceChildren(...pictures.map((picture) => caption(picture, this.#names)));
    this.#stage.replaceChildren(...pictures.map((picture) => picture.image));
    this.fit();
    await painted();
  }

  /** Pixel for pixel, after anything has moved. */
  fit() {
    const widths = this.#shown.map((picture) => picture.width);
    const whole = widths.reduce((sum, width) => sum + width, 0) + this.#gap * (widths.length - 1);
    let before = 0;
    this.#shown.forEach(({ image, width, height }, n) => {
      place(image, width, height, { whole, before });
      const above = this.#captions?.children[n];
      if (above) Object.assign(above.style, { left: image.style.left, width: image.style.width });
      before += width + this.#gap;
    });
  }

  /** A look begins now. */
  begin() {}

  /** The places that weren't seen yet. */
  get unseen() {
    return [];
  }

  /** What is told of the look besides its length. */
  looks() {
    return {};
  }
}

/** One at a time in one place; buttons and keys exchange them. `changed` is called when another
 * picture has come to view. */
export class Toggle {
  #stage;
  #captions;
  #buttons;
  #names;
  #rest;
  #changed;
  #shown = [];
  #current = null;
  #seen = new Set();
  #spans = new Map();
  #switches = 0;
  #turn = 0;

  constructor(stage, captions, group, { names, switch_ms: rest, keys }, changed) {
    this.#stage = stage;
    this.#captions = captions;
    this.#buttons = [...group.querySelectorAll("button")];
    this.#names = names;
    this.#rest = rest;
    this.#changed = changed;
    const places = new Map(Object.entries(keys).map(([at, key]) => [key, at]));
    group.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.#to(button.dataset.place);
    });
    document.addEventListener("keydown", (event) => {
      const at = event.key === " " ? this.#next(event, group) : places.get(String(digit(event)));
      if (at === undefined) return;
      event.preventDefault();
      if (!event.repeat) this.#to(at);
    });
    // some browsers press a button when the key is let go
    group.addEventListener("keyup", (event) => event.key === " " && event.preventDefault());
    document.addEventListener("visibilitychange", () => this.#note());
  }

  get empty() {
    return this.#shown.length === 0;
  }

  clear() {
    this.#turn++;
    this.#shown = [];
    this.#current = null;
    this.#note();
    this.#stage.replaceChildren();
    this.#captions.replaceChildren();
    this.#press();
  }

  /** Put decoded images on the page, the first in view: {image, place, width, height}. */
  async show(pictures) {
    this.#turn++;
    this.#shown = pictures;
    for (const picture of pictures) {
      dress(picture, this.#names);
      picture.image.style.visibility = "hidden";
    }
    this.#stage.replaceChildren(...pictures.map((picture) => picture.image));
    this.fit();
    this.#reveal(pictures[0].place);
    await painted();
  }

  fit() {
    for (const { image, width, height } of this.#shown) place(image, width, height);
  }

  begin() {
    this.#switches = 0;
    this.#seen = new Set([this.#current]);
    this.#spans = new Map(
      this.#shown.map(({ place: at }) => [at, new Span(() => this.#current === at && !document.hidden)]),
    );
    for (const span of this.#spans.values()) span.begin();
  }

  get unseen() {
    return this.#shown.map(({ place: at }) => at).filter((at) => !this.#seen.has(at));
  }

  looks() {
    const times = [...this.#spans].map(([at, span]) => [`${at}_ms`, span.ms]);
    return { switches: this.#switches, ...Object.fromEntries(times) };
  }

  /** The picture after the one in view; nothing where the space bar presses another button. */
  #next(event, group) {
    const button = event.target.closest?.("button, a, summary, input, textarea");
    if (meansOther(event) || this.empty || (button && !group.contains(button))) return undefined;
    const places = this.#shown.map(({ place: at }) => at);
    return places[(places.indexOf(this.#current ?? places.at(-1)) + 1) % places.length];
  }

  async #to(at) {
    if (this.empty || at === this.#current) return;
    const mine = ++this.#turn;
    if (this.#rest) {
      this.#reveal(null);
      await painted();
      await wait(this.#rest);
      if (mine !== this.#turn) return;
    }
    this.#reveal(at);
    this.#switches++;
    await painted();
    if (mine !== this.#turn) return;
    this.#seen.add(at);
    this.#changed();
  }

  #reveal(at) {
    for (const picture of this.#shown) {
      picture.image.style.visibility = picture.place === at ? "visible" : "hidden";
    }
    this.#current = at;
    this.#note();
    const shown = this.#shown.filter((picture) => picture.place === at);
    this.#captions.replaceChildren(...shown.map((picture) => caption(picture, this.#names)));
    this.#press();
  }

  #press() {
    for (const button of this.#buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.place === this.#current));
    }
  }

  #note() {
    for (const span of this.#spans.values()) span.note();
  }
}

function dress({ image, place: at }, names) {
  if (at === "left") image.id = "image"; // the one that is judged, or the left of a pair
  image.dataset.place = at;
  image.alt = names[at].alt;
  image.draggable = false;
}

const caption = ({ place: at }, names) =>
  Object.assign(document.createElement("span"), { textContent: names[at].caption ?? "" });
