// Whether the window can show the study's images at one image pixel to one screen pixel.

const room = JSON.parse(document.getElementById("room").textContent);
const root = document.documentElement;
const is = (feature, value) => matchMedia(`(${feature}: ${value})`).matches;

/** What is reported about the screen and how it shows colours. Lengths in CSS pixels; `ratio` is
 * screen pixels to one. */
export function facts() {
  return {
    ratio: window.devicePixelRatio,
    window: [window.innerWidth, window.innerHeight],
    screen: [screen.width, screen.height],
    magnified: window.visualViewport?.scale ?? 1,
    touch: is("pointer", "coarse"),
    forced_colors: is("forced-colors", "active"),
    gamut: ["rec2020", "p3", "srgb"].find((gamut) => is("color-gamut", gamut)) ?? "unknown",
    hdr: is("dynamic-range", "high"),
    inverted: is("inverted-colors", "inverted"),
    language: root.lang,
  };
}

/** What stands above and below the stage. */
const ROWS = ["--head", "--captions", "--strip", "--switch", "--comment"];

const css = (name) => parseFloat(getComputedStyle(root).getPropertyValue(name));

/** How the controls are laid out in a window of that size; rater.css has the rules for each. */
function shape(width, height) {
  if (width <= 600) return "narrow";
  if (height <= 500) return "low";
  return width <= 900 ? "middle" : "wide";
}

/** The window that the largest item and the controls need, laid out as in one of that size; all
 * in CSS pixels. */
export function needed(width = window.innerWidth, height = window.innerHeight) {
  const ratio = window.devicePixelRatio;
  root.dataset.shape = shape(width, height);
  const need = {
    width: Math.ceil(Math.max(room.largest.width / ratio, css("--least-width"))),
    height: stageHeight() + ROWS.reduce((sum, row) => sum + css(row), 0),
  };
  root.dataset.shape = shape(window.innerWidth, window.innerHeight);
  return need;
}

function holds(width, height) {
  const need = needed(width, height);
  return need.width <= width && need.height <= height;
}

/** "fits", or what is wrong: "phone", "magnified", "small", on touch screens "turn" where the
 * images fit the other way round, else "small-touch". */
export function judge() {
  const { window: [width, height], screen: sides, magnified, touch } = facts();
  if (!room.phones && touch && Math.min(...sides) < 600) return "phone";
  if (Math.abs(magnified - 1) > 0.01) return "magnified";
  if (holds(width, height)) return "fits";
  if (!touch) return "small";
  // some browsers turn the screen's sides with it, others don't; the bars above the page stay
  const [short, long] = [Math.min(...sides), Math.max(...sides)];
  const [across, down] = width > height ? [long, short] : [short, long];
  return holds(down, across - (down - height)) ? "turn" : "small-touch";
}

/** What to do about it, in words. */
export const advice = (verdict) => room.advice[verdict];

/** The height, in CSS pixels, that every item is given. */
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
