// Visual acuity: Landolt rings, ever smaller, of whole device pixels. The gap and the stroke are a
// fifth of the ring's width (ISO 8596).

import { place } from "./image.js";
import { closeDirections, directions, fill, finish, observed, page, whenZoomed } from "./viewing.js";

const DIRECTIONS = ["left", "right", "up", "down"];
const TURNS = { right: 0, down: 1, left: 2, up: 3 };
const box = document.getElementById("ring");
const canvas = box.querySelector("canvas");
const count = document.getElementById("count");
const pen = canvas.getContext("2d", { alpha: false });
const rings = [];
let gaps = [];
let shown = null; // the ring in view

function draw() {
  const ratio = window.devicePixelRatio;
  const side = Math.floor(Math.min(box.clientWidth, box.clientHeight) * ratio);
  // as even as the ring's width, so that its edges lie between pixels
  const size = side - ((side + 5 * (shown?.gap ?? 0)) % 2);
  canvas.width = canvas.height = size;
  place(canvas, size, size);
  pen.fillStyle = "white";
  pen.fillRect(0, 0, size, size);
  if (!shown) return;
  const { gap } = shown;
  pen.translate(size / 2, size / 2);
  pen.rotate((TURNS[shown.shown] * Math.PI) / 2);
  pen.lineWidth = gap;
  pen.beginPath();
  pen.arc(0, 0, 2 * gap, 0, 2 * Math.PI);
  pen.stroke();
  pen.fillRect(gap, -gap / 2, 2 * gap, gap);
}

/** Those that fit on the page. */
const fitting = () => {
  const side = Math.min(box.clientWidth, box.clientHeight) * window.devicePixelRatio;
  return page.gaps.filter((gap) => 5 * gap + 2 < side || gap === page.gaps.at(-1));
};

function next() {
  const gap = gaps[0];
  const own = rings.filter((ring) => ring.gap === gap);
  const right = own.filter((ring) => ring.shown === ring.answer).length;
  if (right === page.enough) {
    gaps.shift();
    return gaps.length ? next() : end();
  }
  if (own.length - right > page.rings - page.enough) return end();
  shown = { gap, shown: DIRECTIONS[Math.floor(4 * Math.random())] };
  count.textContent = fill(page.say.count, rings.length + 1);
  draw();
}

function end() {
  shown = null;
  draw();
  closeDirections();
  observed({ rings });
  finish(page.say.done);
}

function begin() {
  rings.length = 0;
  gaps = fitting();
  next();
}

directions((answer) => {
  if (!shown) return;
  rings.push({ ...shown, answer });
  next();
});
window.addEventListener("resize", draw);
whenZoomed(() => location.reload());
begin();
