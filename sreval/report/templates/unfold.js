// A sheet of paper can't be unfolded. Browsers that know ::details-content need no script for it.
const folded = document.querySelectorAll("details:not([open])");
addEventListener("beforeprint", () => folded.forEach((part) => part.setAttribute("open", "")));
addEventListener("afterprint", () => folded.forEach((part) => part.removeAttribute("open")));
