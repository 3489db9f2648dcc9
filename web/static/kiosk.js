// Nothing of the rater before stays in a kiosk's browser: once the next one has begun, that session
// can send no votes any more, and what waited for it goes.

for (const name of Object.keys(localStorage)) {
  if (name.startsWith("sreval-vote-")) localStorage.removeItem(name);
}
