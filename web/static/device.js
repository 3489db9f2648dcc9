// Whether the window can show the study's images at one image pixel to one screen pixel.

const room = JSON.parse(document.getElementById("room").textContent);

/** What is reported about the screen. Lengths in CSS pixels; `ratio` is screen pixels to one. */
export function facts() {
  return {
    ratio: window.devicePixelRatio,
    window: [window.innerWidth, window.innerHeight],
    screen: [screen.width, screen.height],
    magnified: window.visualViewport?.scale ?? 1,
    touch: matchMedia("(pointer: coarse)").matches,
  };
}

const css = (name) =>
  parseFloat(getComputedStyle(document.documentElement).getPropertyValue(name));

/** The window, in CSS pixels, that the largest image and the controls need. */
export function needed() {
  const ratio = window.devicePixelRatio;
  return {
    width: Math.ceil(Math.max(room.largest.width / ratio, css("--least-width"))),
    height: Math.ceil(room.largest.height / ratio) + css("--head") + css("--strip"),
  };
}

/** "fits", or what is wrong: "phone", "magnified" or "small". */
export function judge() {
  const { ratio, window: [width, height], screen: [across, down], magnified, touch } = facts();
  if (!room.phones && touch && Math.min(across, down) < 600) return "phone";
  if (Math.abs(magnified - 1) > 0.01) return "magnified";
  const need = needed();
  return need.width <= width && need.height <= height && ratio > 0 ? "fits" : "small";
}

/** What to do about it, in words. */
export const advice = (verdict) => room.advice[verdict];

/** The height, in CSS pixels, that every image is given. */
export const stageHeight = () => Math.ceil(room.largest.height / window.devicePixelRatio);

/** Call `then` whenever the window or its zoom changes. */
export function watch(then) {
  window.addEventListener("resize", then);
  window.visualViewport?.addEventListener("resize", then);
  const ratio = () => {
    const query = matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
    query.addEventListener("change", () => (ratio(), then()), { once: true });
  };
  ratio();
}
