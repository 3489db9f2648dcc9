// Votes that still waited when their rater had all data deleted go too.

const session = location.pathname.split("/").at(-1);

for (const name of Object.keys(localStorage)) {
  if (name.startsWith(`sreval-vote-${session}-`)) localStorage.removeItem(name);
}
