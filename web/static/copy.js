// The button that copies the completion code. Without TLS there is only the old way to copy, and
// where a browser has neither, the code stays selected for the keyboard.

const code = document.getElementById("code");
const button = document.getElementById("copy");
const told = document.getElementById("copied");

async function copy() {
  getSelection().selectAllChildren(code);
  try {
    await navigator.clipboard.writeText(code.textContent);
    return true;
  } catch {
    return document.execCommand("copy");
  }
}

button.addEventListener("click", async () => {
  told.textContent = (await copy()) ? told.dataset.copied : told.dataset.selected;
});
button.hidden = false;
