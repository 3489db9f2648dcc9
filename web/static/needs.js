// What the rating page can't do without is tried before anybody agrees to take part, and again
// where a rater goes on in another browser. What is missing is said in place of the page.

const stores = (store) => {
  store.setItem("sreval-test", "1");
  const kept = store.getItem("sreval-test") === "1";
  store.removeItem("sreval-test");
  return kept;
};

const NEEDS = {
  cookies: () => navigator.cookieEnabled,
  storage: () => stores(localStorage) && stores(sessionStorage),
  timeout: () => "timeout" in AbortSignal,
  decode: () => "decode" in HTMLImageElement.prototype,
};

function works(need) {
  try {
    return NEEDS[need]();
  } catch {
    return false; // browsers that refuse storage throw when it is only looked at
  }
}

/** The first thing that this browser lacks, if it lacks one. */
export const lacking = Object.keys(NEEDS).find((need) => !works(need));

if (lacking) {
  const { title, text } = JSON.parse(document.getElementById("needs").textContent)[lacking];
  const heading = document.createElement("h1");
  const paragraph = document.createElement("p");
  heading.textContent = title;
  paragraph.textContent = text;
  document.querySelector("body > header")?.remove();
  document.body.className = "text";
  document.getElementById("main").replaceChildren(heading, paragraph);
} else {
  for (const button of document.querySelectorAll("button[data-waits]")) button.disabled = false;
}
