// Removes the votes that still waited when their rater deleted everything.

const session = location.pathname.split("/").at(-1);

for (const name of Object.keys(localStorage)) {
  if (name.startsWith(`sreval-vote-${session}-`)) localStorage.removeItem(name);
}
