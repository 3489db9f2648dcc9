// The distance from the screen, by the blind spot: Li, Joo, Yeatman and Reinecke (2020), Scientific
// Reports 10:904. A dot moves away from where one eye looks until it vanishes.

import { fill, finish, forget, observed, page, ratio, whenZoomed } from "./viewing.js";

const MM_A_SECOND = 18;
const DOT_MM = 8;
const FIRST_MM = 12; // where a run begins; as much again at random, so that nobody counts seconds
const { runs: wanted, say } = page;
const field = document.getElementById("field");
const square = document.getElementById("square");
const dot = document.getElementById("dot");
const press = document.getElementById("press");
const told = document.getElementById("run");
let separations = [];
let run = null; // the run that is under way: where it began, when, and how far the dot is

document.getElementById("main").classList.add("wide");

const eye = () => document.querySelector("input[name=eye]:checked").value;
const millimetre = () => page.pixels_per_mm / ratio();

/** Where the middles of square and dot are, in CSS pixels from the field's left edge. */
function draw(separation) {
  dot.style.width = dot.style.height = `${DOT_MM * millimetre()}px`;
  const edge = square.offsetWidth;
  const [from, sign] = eye() === "left" ? [field.clientWidth - edge, -1] : [edge, 1];
  const to = from + sign * separation;
  square.style.left = `${from - edge / 2}px`;
  dot.style.left = `${to - dot.offsetWidth / 2}px`;
  return to > dot.offsetWidth / 2 && to < field.clientWidth - dot.offsetWidth / 2;
}

function begin() {
  if (separations.length === wanted) reset();
  run = { began: performance.now(), first: FIRST_MM * (1 + Math.random()) * millimetre() };
  dot.hidden = false;
  draw(run.first);
  show();
  requestAnimationFrame(move);
}

function move(now) {
  if (!run) return;
  const seconds = Math.max(0, now - run.began) / 1000;
  run.separation = run.first + MM_A_SECOND * millimetre() * seconds;
  if (draw(run.separation)) requestAnimationFrame(move);
  else stop(say.edge);
}

function stop(words) {
  run = null;
  dot.hidden = true;
  show();
  if (words) told.textContent = words;
}

function vanished() {
  separations.push(run.separation ?? run.first);
  stop();
  if (separations.length < wanted) return;
  observed({ eye: eye(), separations });
  finish(say.done);
}

function reset() {
  separations = [];
  run = null;
  forget();
  dot.hidden = true;
  draw(0);
  show();
}

function show() {
  const done = separations.length === wanted;
  press.textContent = run ? say.stop : done ? say.again : say.start;
  told.textContent = done ? "" : fill(say.run, separations.length + 1, wanted);
}

const pressed = () => (run ? vanished() : begin());
press.addEventListener("pointerdown", (event) => event.button === 0 && pressed());
press.addEventListener("click", (event) => event.detail === 0 && pressed()); // by a screen reader
document.addEventListener("keydown", (event) => {
  const elsewhere = event.target.closest?.("a, summary, form, button:not(#press), textarea");
  if (event.key !== " " || elsewhere || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  if (!event.repeat) pressed();
});
document.addEventListener("keyup", (event) => {
  if (event.key === " " && event.target === press) event.preventDefault(); // it would click
});
document.getElementById("eye").addEventListener("change", reset);
window.addEventListener("resize", () => draw(run?.separation ?? 0));
whenZoomed(reset);
reset();
