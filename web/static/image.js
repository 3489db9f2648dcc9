// Images: fetched and decoded ahead of time, and placed pixel for pixel.

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Milliseconds before attempt number `n` (from 0) is repeated; a tenth at random, so that many
 * browsers don't come back at the same moment. */
export const backoff = (n) => RETRY_MS[Math.min(n, RETRY_MS.length - 1)] * (0.95 + 0.1 * Math.random());

/** The images that are shown now or soon. */
export class Images {
  #wanted = new Map(); // address -> {image: Promise of a decoded img, ready, failures}

  /** Fetch these addresses and forget all others. */
  keep(addresses) {
    for (const address of this.#wanted.keys()) {
      if (!addresses.includes(address)) this.#wanted.delete(address);
    }
    for (const address of addresses) {
      if (this.#wanted.has(address)) continue;
      const entry = { ready: false, failures: 0 };
      this.#wanted.set(address, entry);
      entry.image = this.#load(address, entry);
    }
  }

  /** A promise of the decoded image; null when it is no longer wanted. */
  get(address) {
    return this.#wanted.get(address)?.image ?? Promise.resolve(null);
  }

  /** Whether the image can be shown at once. */
  ready(address) {
    return this.#wanted.get(address)?.ready ?? false;
  }

  /** How often it failed to load. */
  failures(address) {
    return this.#wanted.get(address)?.failures ?? 0;
  }

  async #load(address, entry) {
    for (; this.#wanted.get(address) === entry; entry.failures++) {
      const image = new Image();
      image.decoding = "sync"; // the first paint shows it, even if its pixels were let go meanwhile
      try {
        await decoded(image, address);
        entry.ready = true;
        return image;
      } catch {
        await wait(backoff(entry.failures));
      }
    }
    return null;
  }
}

/** Some browsers refuse to decode ahead of time what they have loaded and can show. */
async function decoded(image, address) {
  const loaded = new Promise((resolve, reject) => {
    image.onload = resolve;
    image.onerror = reject;
  });
  image.src = address;
  await Promise.all([loaded, image.decode().catch(() => {})]);
}

/** Give an img on the page exactly one screen pixel for each of its own, starting on a whole one.
 * Of several side by side, `whole` is the width of all and `before` what lies left of this one. */
export function place(image, width, height, { whole = width, before = 0 } = {}) {
  const ratio = window.devicePixelRatio;
  const stage = image.parentElement.getBoundingClientRect();
  const snap = (start, room, size) =>
    Math.round(start * ratio + Math.max(0, Math.floor((room * ratio - size) / 2))) / ratio - start;
  image.style.width = `${width / ratio}px`;
  image.style.height = `${height / ratio}px`;
  image.style.left = `${snap(stage.left, stage.width, whole) + before / ratio}px`;
  image.style.top = `${snap(stage.top, stage.height, height)}px`;
}

/** Resolves when what is on the page now has been painted. */
export const painted = () =>
  new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
