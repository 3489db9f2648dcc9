// The live page: its changing part is asked for again every few seconds while it is in view.

const EVERY_MS = 5000;
const bar = document.getElementById("refreshing");
const [hold, told] = [bar.querySelector("button"), bar.querySelector("[role=status]")];
const now = document.getElementById("now");
let waiting; // the next refresh
let held = false;

const say = (text) => {
  if (told.textContent !== text) told.textContent = text;
};

/** Put the new content in; what had the focus has it again, and a wide table stays where it was. */
function replace(html) {
  const focused = now.contains(document.activeElement) ? document.activeElement : null;
  const aside = now.querySelector(".wide")?.scrollLeft ?? 0;
  now.innerHTML = html;
  const table = now.querySelector(".wide");
  if (table) table.scrollLeft = aside;
  if (!focused) return;
  const again = focused.id ? document.getElementById(focused.id) : null;
  (again ?? table)?.focus({ preventScroll: true });
}

async function refresh() {
  clearTimeout(waiting);
  try {
    const answer = await fetch(bar.dataset.url, { credentials: "same-origin" });
    if (answer.redirected || answer.status === 401) {
      say("Your login has ended. Load the page again.");
      return;
    }
    if (!answer.ok) throw new Error(answer.statusText);
    const html = await answer.text();
    if (held) return;
    replace(html);
    say("");
  } catch {
    say("The site doesn't answer. Trying again.");
  }
  later();
}

function later() {
  clearTimeout(waiting);
  if (!held && !document.hidden) waiting = setTimeout(refresh, EVERY_MS);
}

hold.addEventListener("click", () => {
  held = !held;
  hold.setAttribute("aria-pressed", String(held));
  if (held) clearTimeout(waiting);
  else refresh();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !held) refresh();
  else clearTimeout(waiting);
});
bar.hidden = false;
later();
