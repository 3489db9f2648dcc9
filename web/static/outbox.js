// Votes on their way to the server. A vote stays in the browser's storage until the server has
// acknowledged it, so that neither a reload nor a lost connection loses it. Every retry carries
// the same key, by which the server knows it again. All tabs of a session share one outbox.

import { backoff, wait } from "./image.js";

const PATIENCE_MS = 15000;

export class Outbox {
  #prefix;
  #here;
  #token;
  #listener;
  #sending = false;
  #wake = () => {};

  /** `listener` has told(state) with "saved", "saving", "offline", "paused" or "busy"; answered(current,
   * vote) with the server's current item after each vote; and ended() when the session's page is
   * to be loaded anew. */
  constructor(session, here, token, listener) {
    this.#prefix = `sreval-vote-${session}-`;
    this.#here = here;
    this.#token = token;
    this.#listener = listener;
    window.addEventListener("online", () => this.#wake());
  }

  /** Votes that wait, in order. */
  pending() {
    return Object.keys(localStorage)
      .filter((name) => name.startsWith(this.#prefix))
      .map((name) => JSON.parse(localStorage.getItem(name)))
      .sort((a, b) => a.position - b.position);
  }

  /** Keep a vote and begin to send. The first vote on a position stands. */
  put(vote) {
    const name = this.#prefix + vote.position;
    if (localStorage.getItem(name) === null) localStorage.setItem(name, JSON.stringify(vote));
    this.send();
  }

  /** Send what waits, one vote after the other; an unfinished earlier call goes on alone. */
  async send() {
    if (this.#sending) return;
    this.#sending = true;
    for (let failures = 0, vote; (vote = this.pending()[0]); ) {
      this.#listener.told("saving");
      const answer = await this.#post(vote);
      if (answer.retry) {
        this.#listener.told(answer.retry);
        await this.#pause(answer.after ?? backoff(failures++));
        continue;
      }
      failures = 0;
      if (answer.ended) {
        this.#sending = false;
        return this.#listener.ended();
      }
      if (answer.settled) localStorage.removeItem(this.#prefix + vote.position);
      if (this.#listener.answered(answer.current, vote) === false) break;
    }
    this.#sending = false;
    if (this.pending().length === 0) this.#listener.told("saved");
  }

  async #post(vote) {
    let response, body;
    try {
      response = await fetch(`${this.#here}/api/vote`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": this.#token },
        body: JSON.stringify(vote),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      body = await response.json().catch(() => ({}));
    } catch {
      return { retry: "offline" };
    }
    if (response.ok) return { settled: true, current: body.current };
    // another position is the current one: this vote can't count, unless the session only pauses
    if (response.status === 409 && body.current) {
      return { settled: body.current.stage === "rating", current: body.current };
    }
    if (response.status === 400) return { settled: true, current: null };
    if (response.status === 429 || response.status >= 500) {
      const seconds = Number(response.headers.get("Retry-After"));
      const why = body.kind === "paused" ? "paused" : "busy";
      return { retry: why, after: seconds > 0 ? seconds * 1000 : undefined };
    }
    return { ended: true };
  }

  #pause(ms) {
    return Promise.race([wait(ms), new Promise((resolve) => (this.#wake = resolve))]);
  }
}
