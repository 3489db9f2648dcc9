// Nothing of the rater before stays in a kiosk's browser: when the next one begins, that session can
// send no votes any more, and what waited for it goes.

document.querySelector('[data-stage="kiosk"]').addEventListener("submit", () => {
  for (const name of Object.keys(localStorage)) {
    if (name.startsWith("sreval-vote-")) localStorage.removeItem(name);
  }
});
