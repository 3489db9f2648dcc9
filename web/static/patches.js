// The greys of the screen: which steps from black and from white are seen, and which grey is as
// light as lines of black and white, one device pixel each.

import { place } from "./image.js";
import { forget, observed, page, slider, whenZoomed } from "./viewing.js";

const grey = document.getElementById("grey");
let matched = false;

/** A canvas with a pixel for each of the screen's; `paint` is told the pen, and its size. */
function draw(name, paint) {
  const box = document.querySelector(`[data-shows=${name}]`);
  const canvas = box.querySelector("canvas");
  const ratio = window.devicePixelRatio;
  canvas.width = Math.floor(box.clientWidth * ratio);
  canvas.height = Math.floor(box.clientHeight * ratio);
  place(canvas, canvas.width, canvas.height);
  paint(canvas.getContext("2d", { alpha: false }), canvas.width, canvas.height);
}

const fill = (pen, level, ...box) => {
  pen.fillStyle = `rgb(${level}, ${level}, ${level})`;
  pen.fillRect(...box);
};

/** Squares that differ from their ground by ever more. */
const squares = (ground, sign) => (pen, width, height) => {
  fill(pen, ground, 0, 0, width, height);
  const cell = width / page.steps.length;
  const side = Math.floor(Math.min(cell, height) / 2);
  page.steps.forEach((step, n) => {
    const left = Math.round((n + 0.5) * cell - side / 2);
    fill(pen, ground + sign * step, left, Math.round((height - side) / 2), side, side);
  });
};

function lines(pen, width, height) {
  fill(pen, 0, 0, 0, width, height);
  for (let row = 0; row < height; row += 2) fill(pen, 255, 0, row, width, 1);
  const side = Math.floor(height / 2);
  const [left, top] = [width, height].map((size) => Math.round((size - side) / 2));
  fill(pen, Number(grey.value), left, top, side, side);
}

function drawAll() {
  draw("black", squares(0, 1));
  draw("white", squares(255, -1));
  draw("lines", lines);
}

const counted = (name) => document.querySelector(`input[name=${name}]:checked`)?.value;

function note() {
  const [black, white] = [counted("black"), counted("white")];
  if (!matched || black === undefined || white === undefined) return forget();
  observed({ black: Number(black), white: Number(white), grey: Number(grey.value) });
}

slider(grey, () => {
  matched = true;
  draw("lines", lines);
  note();
});
for (const name of ["black", "white"]) document.getElementById(name).addEventListener("change", note);
window.addEventListener("resize", drawAll);
whenZoomed(() => {
  matched = false; // the lines were others
  drawAll();
});
grey.value = 100 + Math.round(120 * Math.random()); // nobody shall copy where it began
drawAll();
