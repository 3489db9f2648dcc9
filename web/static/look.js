// What can spoil a look at an image: another tab before it, another window in front.

/** Milliseconds during which something held, since `begin`. Whoever knows of a change calls `note`. */
export class Span {
  #holds;
  #since = null;
  #sum = 0;

  constructor(holds) {
    this.#holds = holds;
  }

  begin() {
    this.#since = null;
    this.#sum = 0;
    this.note();
  }

  note() {
    const now = performance.now();
    if (this.#since !== null) this.#sum += now - this.#since;
    this.#since = this.#holds() ? now : null;
  }

  get ms() {
    this.note();
    return Math.round(this.#sum);
  }
}

const hidden = new Span(() => document.hidden);
const unfocused = new Span(() => !document.hasFocus());

/** A look begins now. */
export function begin() {
  hidden.begin();
  unfocused.begin();
}

/** For how many whole milliseconds of the look the page was hidden, and its window without focus. */
export const spoilt = () => ({ hidden_ms: hidden.ms, unfocused_ms: unfocused.ms });

function note() {
  hidden.note();
  unfocused.note();
}

document.addEventListener("visibilitychange", note);
window.addEventListener("focus", note);
window.addEventListener("blur", note);
