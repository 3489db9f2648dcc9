// Removes the votes that still waited when their rater deleted everything, and the draft of a
// comment.

const session = location.pathname.split("/").at(-1);

for (const name of Object.keys(localStorage)) {
  if (name.startsWith(`sreval-vote-${session}-`)) localStorage.removeItem(name);
}

sessionStorage.removeItem(`sreval-comment-${session}`);
