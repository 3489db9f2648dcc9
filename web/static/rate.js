// The rating page: shows one image after the other and takes a score for each. The server decides
// what is current; without a connection the page goes on as far as images are loaded.

import { advice, facts, judge, stageHeight, watch } from "./device.js";
import { Images, painted, place, wait } from "./image.js";
import { Outbox } from "./outbox.js";

const page = JSON.parse(document.getElementById("page").textContent);
const say = (name, values = {}) =>
  page.say[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
const element = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("#scores button")];
const stage = element("stage");

const images = new Images();
const known = new Map(); // position -> image, as far as the server has told
let item = null; // the item on the page
let turn = 0; // counts showings; an older one gives way
let open = false; // whether a score is taken now
let shownAt = 0; // performance.now() at the image's first paint
let shownOn = ""; // the same moment by the calendar
let greyUntil = 0;

const outbox = new Outbox(page.session, page.here, page.csrf, {
  told: (state) => (element("status").textContent = say(state)),
  ended: leave,
  answered: (current) => (current ? follow(current) : refresh()),
});

function leave() {
  turn++;
  images.keep([]);
  // a moment of rest, in case the server sends the browser straight back here
  setTimeout(() => location.assign(page.here), 300);
  return false;
}

/** Take over the server's current item. False when this page has nothing more to show. */
function follow(current) {
  if (current.stage !== "rating") return leave();
  known.set(current.position, current.image);
  current.next.forEach((image, n) => known.set(current.position + 1 + n, image));
  const behind = outbox.pending().some((vote) => vote.position >= current.position);
  if (item && !item.voted && item.position === current.position) {
    Object.assign(item, current);
    describe();
  } else if (!behind) {
    show({ ...current, voted: false });
  }
  prepare();
  return true;
}

function prepare() {
  const from = item?.position ?? 0;
  for (const position of known.keys()) if (position < from) known.delete(position);
  // the image of a vote that waits may be refused by the time it is asked for
  const voted = outbox.pending().map((vote) => vote.position);
  const wanted = [...known].filter(([position]) => position === from || !voted.includes(position));
  images.keep(wanted.map(([, image]) => image.url));
}

/** Ask the server what is current; without a connection nothing changes. */
async function refresh() {
  try {
    const response = await fetch(`${page.here}/api/item`, { signal: AbortSignal.timeout(15000) });
    if (response.ok) follow(await response.json());
    else if (response.status < 500 && response.status !== 429) leave();
  } catch {
    element("status").textContent = say("offline");
  }
}

function describe() {
  const { done, of, minutes_left: minutes, heading } = item;
  element("progress").max = of;
  element("progress").value = done;
  element("heading").textContent = heading === "rating" ? "" : say(heading);
  element("count").textContent = say("count", { n: done + 1, of });
  const span = minutes < 1 ? "moment" : Math.round(minutes) === 1 ? "minute" : "minutes";
  element("left").textContent = say(span, { n: Math.round(minutes) });
  hint();
}

function hint() {
  const score = item.intended;
  const asks = score ? say("example", { score, word: page.words[score - 1] }) : say("ask");
  element("hint").textContent = open ? asks : item.late ? say("waiting") : say("look");
}

function allow(yes) {
  open = yes;
  for (const button of buttons) {
    button.setAttribute("aria-disabled", String(!yes));
    if (yes) button.classList.remove("chosen");
  }
  hint();
}

function clear(next) {
  stage.replaceChildren();
  greyUntil = Math.max(greyUntil, performance.now() + (next?.grey_ms ?? 0));
}

/** Grey, then the image; from its first paint on the time counts. */
async function show(next) {
  const mine = ++turn;
  if (stage.firstChild || !item) clear(next);
  item = next;
  allow(false);
  describe();
  prepare();
  if (!fits()) return;
  const image = await arrival(next, mine);
  await wait(greyUntil - performance.now());
  if (mine !== turn) return;
  image.id = "image";
  image.alt = say("alt");
  image.draggable = false;
  stage.replaceChildren(image);
  place(image, next.image.width, next.image.height);
  await painted();
  shownAt = performance.now();
  shownOn = new Date().toISOString();
  await wait(next.least_ms);
  if (mine === turn) allow(true);
}

async function arrival(next, mine) {
  for (;;) {
    const image = await Promise.race([images.get(next.image.url), wait(4000)]);
    if (image || mine !== turn) {
      next.late = false;
      return image;
    }
    next.late = true;
    hint();
    if (outbox.pending().length === 0) refresh();
  }
}

function vote(score) {
  const response = Math.round(performance.now() - shownAt);
  if (!open || response < item.least_ms || element("leave").open) return;
  allow(false);
  item.voted = true;
  buttons[score - 1].classList.add("chosen");
  const voted = item;
  try {
    outbox.put({
      position: item.position,
      score,
      key: key(),
      response_ms: response,
      shown_at: shownOn,
      device: JSON.stringify(facts()),
    });
  } catch {
    element("status").textContent = say("storage");
    return;
  }
  clear(voted);
  setTimeout(() => goOn(voted), voted.grey_ms);
}

/** Without an answer from the server by the end of the grey: the next image, if it is loaded.
 * An example waits, for only the server knows its score. */
function goOn(voted) {
  const position = voted.position + 1;
  const image = known.get(position);
  if (item !== voted || !image || !images.ready(image.url) || voted.heading === "examples") return;
  show({ ...voted, position, image, done: voted.done + 1, voted: false, late: false });
}

function key() {
  // crypto.randomUUID is missing where a laboratory serves without TLS
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Cover everything while the window does not fit. */
function fits() {
  const verdict = judge();
  const cover = element("cover");
  stage.style.height = `${stageHeight()}px`;
  cover.hidden = verdict === "fits";
  element("main").inert = verdict !== "fits";
  cover.firstElementChild.textContent = verdict === "fits" ? "" : advice(verdict);
  return verdict === "fits";
}

let reported = "";

function changed() {
  const fit = fits();
  const report = JSON.stringify({ facts: facts(), fits: fit });
  if (report !== reported) {
    reported = report;
    const headers = { "Content-Type": "application/json", "X-CSRFToken": page.csrf };
    fetch(`${page.here}/api/device`, { method: "POST", headers, body: report }).catch(() => {});
  }
  if (!item || item.voted) return;
  // a look that was interrupted or moved begins anew
  clear(item);
  if (fit) show(item);
  else turn++, allow(false);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onButton = event.target.closest?.("#scores button");
  if (event.repeat && onButton && event.key !== "Tab") event.preventDefault();
  if (!event.repeat && /^[1-5]$/.test(event.key) && !event.target.matches?.("input")) {
    vote(Number(event.key));
  }
});
element("scores").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button && event.detail <= 1) vote(Number(button.dataset.score)); // 2: a double click
});
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && outbox.pending().length === 0) refresh();
});
watch(changed);

fits();
follow(page.current);
outbox.send();
