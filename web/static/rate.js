// The rating page: shows one image after the other and takes a score for each. The server decides
// what is current; without a connection the page goes on as far as images are loaded.

import { Buttons, Line } from "./answer.js";
import { Comment } from "./comment.js";
import { advice, facts, judge, stageHeight, watch } from "./device.js";
import { Images, wait } from "./image.js";
import * as look from "./look.js";
import { lacking } from "./needs.js";
import { Outbox } from "./outbox.js";
import { Side, Toggle } from "./pictures.js";
import { ask, meaning } from "./site.js";

const MANY_FAILURES = 4;
const REST_MS = 500;

const page = JSON.parse(document.getElementById("page").textContent);
const say = (name, values = {}) =>
  page.say[name].replace(/\{(\w+)\}/g, (_, value) => values[value]);
const element = (id) => document.getElementById(id);
let control; // what takes the rater's answers
let view; // what shows the pictures
let comment = null; // what raters write of an item, where the study asks for it
const stage = element("stage");

const images = new Images();
const known = new Map(); // position -> heading and pictures, as far as the server has told
let item = null; // the item on the page
let turn = 0; // counts showings; an older one gives way
let open = false; // whether a score is taken now
let looked = false; // whether the item was seen for long enough
let shownAt = 0; // performance.now() at its first paint
let shownOn = ""; // the same moment by the calendar
let greyUntil = 0;
let placedBy = {}; // the `geometry` of the window when the image was placed
let lesson = false; // whether the rater is being told what was meant, until they go on
let ahead = null; // what the server said is current meanwhile
let leaving = null; // the form of a rater who leaves and keeps votes that still wait

const outbox = new Outbox(page, {
  told: tell,
  refused: () => leave(true),
  answered(current, feedback) {
    sessionStorage.removeItem(RELOADED);
    if (feedback && item?.voted && item.position === feedback.position) teach(feedback);
    return current ? follow(current) : refresh();
  },
});

function tell(state) {
  if (element("status").textContent !== say(state)) element("status").textContent = say(state);
  if (state !== "saved" || !leaving) return;
  leaving.submit();
  leaving = null;
}

/** Closing the form or choosing anew calls the leaving off. */
function stay() {
  leaving = null;
  element("leaving").textContent = "";
}

const RELOADED = `sreval-reloaded-${page.session}`;

/** Load the session's page anew. After a refusal only once until the site takes something again,
 * for a page that is always refused would load for ever; false when it isn't loaded. */
function leave(refused) {
  if (refused && sessionStorage.getItem(RELOADED)) return false;
  if (refused) sessionStorage.setItem(RELOADED, "yes");
  turn++;
  images.keep([]);
  if (!refused) comment?.drop();
  if (leaving && outbox.pending().length === 0) return true; // the form leads on
  // a moment of rest, in case the server sends the browser straight back here
  setTimeout(() => location.assign(page.here), 300);
  return true;
}

/** Take over the server's current item. False when this page has nothing more to show. */
function follow(current) {
  ahead = current;
  if (lesson) return true;
  if (current.stage !== "rating") return !leave(false);
  known.set(current.position, current);
  current.next.forEach((next, n) => known.set(current.position + 1 + n, next));
  if (item && !item.voted && item.position === current.position) {
    Object.assign(item, current);
    describe();
    hint();
  } else if (!outbox.holds(current.position)) {
    show({ ...current, voted: false });
  }
  prepare();
  return true;
}

function prepare() {
  const from = item?.position ?? 0;
  for (const position of known.keys()) if (position < from) known.delete(position);
  // the image of a vote that waits may be refused by the time it is asked for
  const wanted = [...known].filter(([position]) => position === from || !outbox.holds(position));
  images.keep(wanted.flatMap(([, { pictures }]) => pictures.map(({ url }) => url)));
}

/** Ask the server what is current; without its answer nothing changes. */
async function refresh() {
  const answer = await ask(page, "item");
  const means = meaning(answer);
  if (means === "ok") {
    sessionStorage.removeItem(RELOADED);
    follow(answer.body);
    if (outbox.pending().length === 0) tell("saved"); // last: it may send the form
  } else if (means !== "page") tell(means);
  else if (!leave(true)) tell("refused");
}

function describe() {
  const { done, of, minutes_left: minutes, heading } = item;
  element("progress").max = of;
  element("progress").value = done;
  element("heading").textContent = heading === "rating" ? "" : say(heading);
  element("count").textContent = say("count", { n: done + 1, of });
  const span = minutes < 1 ? "moment" : Math.round(minutes) === 1 ? "minute" : "minutes";
  element("left").textContent = say(span, { n: Math.round(minutes) });
}

/** Only of what is there: an empty stage asks nothing. */
function hint() {
  const tap = facts().touch ? "-tap" : "";
  if (view.empty) {
    const failing = item.pictures.some(({ url }) => images.failures(url) >= MANY_FAILURES);
    element("hint").textContent = !item.late ? "" : say(failing ? "failing" : "waiting");
  } else if (!open || item.intended === null) {
    const unseen = looked && view.unseen[0];
    element("hint").textContent = unseen
      ? say(`unseen${tap}`, { name: page.view.names[unseen].caption })
      : say(open ? `ask${tap}` : "look");
  } else {
    const score = item.intended;
    const word = Object.assign(element("word").content.firstElementChild.cloneNode(), {
      textContent: control.word(score),
    });
    const shown = { score, key: control.key(score), word: "\n" };
    const text = say(`${word.textContent ? "example" : "plain"}${tap}`, shown);
    const [before, ...after] = text.split("\n");
    element("hint").replaceChildren(before, ...after.flatMap((rest) => [word, rest]));
  }
}

function allow(yes) {
  open = yes;
  control.allow(yes);
}

function clear(next) {
  view.clear();
  greyUntil = Math.max(greyUntil, performance.now() + (next?.grey_ms ?? 0));
}

/** Grey, then the image; from its first paint on the time counts. */
async function show(next) {
  const mine = ++turn;
  if (!view.empty || !item) clear(next);
  item = next;
  looked = false;
  comment?.show(item.position, item.heading !== "examples");
  allow(false);
  describe();
  hint();
  prepare();
  if (!fits()) return;
  await wait(greyUntil - performance.now());
  if (mine !== turn) return;
  control.forget();
  const arrived = await arrival(next, mine);
  if (mine !== turn) return;
  control.forget();
  const shown = view.show(next.pictures.map((picture, n) => ({ ...picture, image: arrived[n] })));
  hint();
  await shown;
  if (mine !== turn) return;
  shownAt = performance.now();
  shownOn = new Date().toISOString();
  look.begin();
  view.begin();
  await wait(next.least_ms);
  if (mine !== turn) return;
  looked = true;
  consider();
}

/** Answers are taken once every picture was seen, and the item for long enough. */
function consider() {
  if (looked && !item.voted && view.unseen.length === 0) allow(true);
  hint();
}

async function arrival(next, mine) {
  const urls = next.pictures.map(({ url }) => url);
  next.late = !urls.every((url) => images.ready(url));
  for (;;) {
    hint();
    const all = Promise.all(urls.map((url) => images.get(url)));
    const arrived = await Promise.race([all, wait(4000)]);
    if (arrived?.every(Boolean) || mine !== turn) {
      next.late = false;
      return arrived;
    }
    if (outbox.pending().length === 0) refresh();
  }
}

function vote(score) {
  const response = Math.round(performance.now() - shownAt);
  if (!open || response < item.least_ms || element("leave").open) return;
  if (comment && !comment.fits()) return;
  allow(false);
  item.voted = true;
  control.chosen(score);
  const voted = item;
  try {
    outbox.put({
      position: item.position,
      score,
      key: key(),
      image: item.pictures.find((picture) => picture.place === "left").url.split("/").at(-1),
      response_ms: response,
      ...look.spoilt(),
      ...view.looks(),
      shown_at: shownOn,
      device: JSON.stringify(facts()),
      ...(comment && { comment: comment.text }),
    });
  } catch {
    tell("storage");
    return;
  }
  comment?.close();
  if (voted.feedback) return; // the picture stays until the rater has read what was meant
  clear(voted);
  hint();
  setTimeout(() => goOn(voted), voted.grey_ms);
}

/** Tell what was meant beside what was given. */
function teach({ given, meant }) {
  lesson = true;
  const names = { given: answer(given), meant: answer(meant) };
  const parts = page.say[names.given === names.meant ? "right" : "meant"].split(/\{(\w+)\}/);
  const word = (name) =>
    Object.assign(element("word").content.firstElementChild.cloneNode(), { textContent: names[name] });
  element("hint").replaceChildren(...parts.map((part, n) => (n % 2 ? (page.pair ? names[part] : word(part)) : part)));
  element("scores").hidden = true;
  element("next").hidden = false;
  element("next").focus({ preventScroll: true });
}

/** An answer in words; of a pair by the picture's own name. */
function answer(score) {
  const place = page.pair && { [-1]: "left", 1: "right" }[score];
  return (place && page.view.names[place].caption) || control.name(score);
}

function learnt() {
  lesson = false;
  element("next").hidden = true;
  element("scores").hidden = false;
  element("scores").focus({ preventScroll: true });
  if (ahead) follow(ahead);
  else refresh();
}

/** Without an answer from the server by the end of the grey: the next image, if it is loaded.
 * An example waits, for only the server knows its score. */
function goOn(voted) {
  if (item !== voted) return;
  const position = voted.position + 1;
  const next = known.get(position);
  const loaded = next?.pictures.every(({ url }) => images.ready(url)) && !outbox.holds(position);
  if (loaded && next.heading !== "examples") {
    const { heading, feedback, pictures } = next;
    const done = voted.done + 1;
    show({ ...voted, position, heading, feedback, pictures, done, intended: null, voted: false, late: false });
    return;
  }
  control.forget();
  voted.late = voted.done + 1 < voted.of;
  hint();
}

function key() {
  // crypto.randomUUID is missing where a laboratory serves without TLS
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Cover everything while the window does not fit. */
function fits() {
  placedBy = geometry();
  const verdict = judge();
  const fit = verdict === "fits";
  stage.style.height = `${stageHeight()}px`;
  stage.hidden = element("strip").hidden = !fit;
  element("cover").hidden = fit;
  element("cover").firstElementChild.textContent = fit ? "" : advice(verdict);
  return fit;
}

let reported = "";
let resting;

/** Tell the server of the window, once it has come to rest. */
function report() {
  clearTimeout(resting);
  resting = setTimeout(async () => {
    const sent = { facts: facts(), fits: judge() === "fits" };
    const now = JSON.stringify(sent);
    if (now === reported) return;
    if (meaning(await ask(page, "device", sent)) === "ok") reported = now;
  }, REST_MS);
}

/** What the place of an image depends on, besides the study. */
function geometry() {
  const { ratio, window: [width, height], magnified } = facts();
  return { across: `${width} ${ratio} ${magnified}`, height };
}

/** Whether a window changed no more than a touch keyboard does, which comes and goes. */
function keyboard() {
  const { across, height } = geometry();
  return across === placedBy.across && (comment.writing || height === placedBy.height);
}

function changed() {
  if (comment && keyboard()) return;
  const fit = fits();
  report();
  if (lesson && fit) element("next").focus({ preventScroll: true }); // the cover took it away
  if (!item || item.voted) return;
  // a look that was interrupted or moved begins anew
  clear(item);
  if (fit) return void show(item);
  turn++;
  allow(false);
  hint();
}

function listen() {
  element("leave").addEventListener("submit", (event) => {
    comment?.drop();
    const keeps = new FormData(event.target).get("delete") === "no";
    leaving = keeps && outbox.pending().length > 0 ? event.target : null;
    if (!leaving) return;
    event.preventDefault();
    element("leaving").textContent = say("leaving");
  });
  element("next").addEventListener("click", learnt);
  // a key that is held down has not read anything
  element("next").addEventListener("keydown", (event) => event.repeat && event.preventDefault());
  element("leave").addEventListener("change", stay);
  element("leave").addEventListener("toggle", stay);
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && outbox.pending().length === 0) refresh();
  });
  watch(changed);
  // a long sentence in the header moves the stage
  const moved = new ResizeObserver(() => {
    if (!view.empty) view.fit();
  });
  moved.observe(document.querySelector("header"));
  moved.observe(stage);
}

if (!lacking) {
  control = page.scale.line
    ? new Line(page.scale, element("scores"), vote, page.unmarked)
    : new Buttons(page.scale, element("scores"), vote);
  view = page.view.toggled
    ? new Toggle(stage, element("captions"), element("switch"), page.view, consider)
    : new Side(stage, element("captions"), page.view);
  if (page.comment) {
    const scores = element("scores");
    const back = () => scores.focus({ preventScroll: true });
    const rested = () => setTimeout(changed, REST_MS);
    comment = new Comment(element("comment"), page.session, page.comment, back, rested);
  }
  listen();
  fits();
  follow(page.current);
  outbox.send();
}
