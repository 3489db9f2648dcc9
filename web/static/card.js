// The size of the screen: an outline is made as large as a bank card.

import { forget, observed, slider, whenZoomed } from "./viewing.js";

const LONG_MM = 85.6;
const SHORT_MM = 53.98;
const input = document.getElementById("width");
const outline = document.getElementById("outline");

document.getElementById("main").classList.add("wide");

/** A phone is narrower than the card is long: there it is held upright. */
const side = () =>
  matchMedia("(pointer: coarse)").matches && window.innerWidth < 600 ? "short" : "long";

function draw(width) {
  const higher = side() === "short" ? LONG_MM / SHORT_MM : SHORT_MM / LONG_MM;
  outline.style.width = `${width}px`;
  outline.style.height = `${width * higher}px`;
}

function fit() {
  input.max = outline.parentElement.clientWidth;
  draw(Number(input.value));
}

slider(input, (width) => {
  draw(width);
  observed({ width: outline.getBoundingClientRect().width, side: side() });
});
let turned = side();
window.addEventListener("resize", () => {
  if (side() !== turned) forget();
  turned = side();
  fit();
});
whenZoomed(fit);
input.value = 240;
fit();
