// Colour vision: rings among dots, made by the site.

import { closeDirections, directions, fill, finish, observed, page } from "./viewing.js";

const { plates, say } = page;
const image = document.getElementById("plate");
const count = document.getElementById("count");
const answers = [];
let shown = false;

async function show() {
  shown = false;
  image.src = plates[answers.length];
  await image.decode().catch(() => {});
  count.textContent = fill(say.count, answers.length + 1, plates.length);
  shown = image.naturalWidth > 0;
  if (plates[answers.length + 1]) new Image().src = plates[answers.length + 1];
}

directions((answer) => {
  if (!shown) return;
  answers.push(answer);
  if (answers.length < plates.length) return show();
  shown = false;
  closeDirections();
  observed({ answers });
  finish(say.done);
});
show();
