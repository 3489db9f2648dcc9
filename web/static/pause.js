// Breaks and rests: counts down by this page's own clock and then lets the rater go on.

const pause = document.getElementById("pause");
const button = document.querySelector("form[data-stage] button");
const clock = document.getElementById("clock");
const until = document.getElementById("until");
const end = performance.now() + 1000 * Number(pause.dataset.seconds);

function tick() {
  const left = Math.ceil((end - performance.now()) / 1000);
  if (left <= 0) {
    clearInterval(timer);
    pause.hidden = true;
    document.getElementById("over").textContent = pause.dataset.over;
    button.disabled = false;
  } else if (clock) {
    clock.textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  }
}

if (until?.dateTime) {
  const own = document.documentElement.lang;
  const language = navigator.languages.find((name) => name.startsWith(own)) ?? own;
  const style = { dateStyle: "full", timeStyle: "short" };
  until.textContent = new Date(until.dateTime).toLocaleString(language, style);
}
const timer = setInterval(tick, 1000);
tick();
