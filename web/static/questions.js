// A question that depends on an answer of the same page comes and goes with that answer. What is
// hidden isn't sent, but stays as it was typed.

const conditional = document.querySelectorAll("[data-only-if]");

/** What is chosen of a question that is asked. */
const chosen = (form, key) =>
  [...form.elements]
    .filter(({ name, checked, disabled }) => checked && !disabled && name.split(".")[0] === key)
    .map(({ value }) => value);

/** In the page's order: what a hidden question would decide, it doesn't. */
function apply() {
  for (const question of conditional) {
    const { onlyIf, oneOf } = question.dataset;
    const answers = chosen(question.closest("form"), onlyIf);
    const asked = JSON.parse(oneOf).some((option) => answers.includes(option));
    question.hidden = !asked;
    for (const field of question.querySelectorAll("input, textarea")) field.disabled = !asked;
  }
}

for (const field of document.querySelectorAll("[data-required]")) field.required = true;
document.addEventListener("change", apply);
window.addEventListener("pageshow", apply); // browsers fill forms in again
apply();
