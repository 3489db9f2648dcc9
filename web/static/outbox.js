// Votes on their way to the server. A vote stays in the browser's storage until the site itself
// has said that it took it or never will, so that neither a reload, a lost connection nor a
// network's own page loses it. Every retry carries the same key, by which the server knows it
// again. All tabs of a session share one outbox.

import { backoff, wait } from "./image.js";
import { ask, meaning } from "./site.js";

const SLOW_MS = 30000;

/** No repetition makes such a vote good; its image is shown and rated anew. */
const NEVER = ["malformed", "scale", "400", "too-early", "unseen"];

export class Outbox {
  #prefix;
  #page;
  #listener;
  #sending = false;
  #wake = () => {};

  /** `listener` has told(state) with "saved", "saving", "refused" or a `meaning`; answered(current,
   * feedback) with the server's current item, if it named it, and with the vote's feedback, if there
   * is any, after each vote, which is false when nothing more is to be sent; and refused(), which is false when the page isn't loaded anew. */
  constructor(page, listener) {
    this.#prefix = `sreval-vote-${page.session}-`;
    this.#page = page;
    this.#listener = listener;
    window.addEventListener("online", () => this.#wake());
  }

  /** Votes that wait, in order. */
  pending() {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(this.#prefix))
      .map((name) => read(localStorage.getItem(name)))
      .filter((vote) => vote !== null)
      .sort((a, b) => a.position - b.position);
  }

  /** Whether a vote on that position waits. */
  holds(position) {
    return localStorage.getItem(this.#prefix + position) !== null;
  }

  /** Keep a vote and begin to send. The first vote on a position stands. */
  put(vote) {
    if (!this.holds(vote.position)) {
      localStorage.setItem(this.#prefix + vote.position, JSON.stringify(vote));
    }
    this.send();
  }

  /** Send what waits, one vote after the other; an unfinished earlier call goes on alone. */
  async send() {
    if (this.#sending) return;
    this.#sending = true;
    for (let failures = 0, vote; (vote = this.pending()[0]); ) {
      this.#listener.told("saving");
      const answer = await ask(this.#page, "vote", vote);
      const { settled, current, feedback, anew } = fate(answer, vote);
      if (settled) localStorage.removeItem(this.#prefix + vote.position);
      if ((anew || meaning(answer) === "page") && this.#listener.refused()) break;
      if (!settled && !current) {
        const why = meaning(answer);
        this.#listener.told({ page: "refused", ok: "busy" }[why] ?? why);
        await this.#pause(why === "other" ? SLOW_MS : (answer.after ?? backoff(failures++)));
        continue;
      }
      failures = 0;
      if (this.#listener.answered(current, feedback) === false || !settled) break;
    }
    this.#sending = false;
    if (this.pending().length === 0) this.#listener.told("saved");
  }

  #pause(ms) {
    return Promise.race([wait(ms), new Promise((resolve) => (this.#wake = resolve))]);
  }
}

/** A vote as it was kept; null where another tab removed it meanwhile, or it is damaged. */
function read(kept) {
  try {
    return JSON.parse(kept);
  } catch {
    return null;
  }
}

/** Whether the site's answer settles a vote, what it says is current, and whether the page must be
 * loaded anew before the image is rated again. A foreign answer says nothing. */
function fate({ ok, body }, vote) {
  if (ok && body?.saved === vote.position) {
    const { current, given, meant } = body;
    const feedback = meant === undefined ? undefined : { position: vote.position, given, meant };
    return { settled: true, current, feedback };
  }
  if (ok || !body) return { settled: false };
  const { kind, current } = body;
  // a position that already has its vote takes no other, and none on an image that isn't its own
  const passed =
    current && (vote.position <= current.done || (kind === "position" && vote.position === current.position));
  return { settled: passed || NEVER.includes(kind), current, anew: kind === "unseen" };
}
