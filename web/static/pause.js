// Breaks and rests: counts down and then lets the rater go on. Some clocks of browsers stand still
// while a computer sleeps, and the time of day can be set: whichever clock is through first ends
// the pause. The server holds its own time against it.

const pause = document.getElementById("pause");
const button = document.querySelector("form[data-stage] button");
const clock = document.getElementById("clock");
const until = document.getElementById("until");
const milliseconds = 1000 * Number(pause.dataset.seconds);
const ends = [performance, Date].map((time) => [time, time.now() + milliseconds]);

function tick() {
  const left = Math.ceil(Math.min(...ends.map(([time, end]) => end - time.now())) / 1000);
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
document.addEventListener("visibilitychange", tick);
window.addEventListener("pageshow", tick);
tick();
