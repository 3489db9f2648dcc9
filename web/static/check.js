// The device page: says whether the window fits, and what to do until it does.

import { advice, facts, judge, needed, watch } from "./device.js";

const form = document.querySelector("form[data-stage=device]");
const put = (id, text) => (document.getElementById(id).textContent = text);

function check() {
  const seen = facts();
  const need = needed();
  const verdict = judge();
  put("window", `${seen.window[0]} × ${seen.window[1]}`);
  put("needed", `${need.width} × ${need.height}`);
  put("advice", advice(verdict));
  form.elements.facts.value = JSON.stringify(seen);
  form.elements.fits.value = verdict === "fits" ? "yes" : "no";
  form.querySelector("button").disabled = verdict !== "fits";
}

watch(check);
check();
