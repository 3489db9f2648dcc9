// The comment on an item: written before the answer, sent with it. A draft outlives a reload.

export class Comment {
  #box;
  #field;
  #says;
  #asked;
  #draft;
  #position = null;

  /** `asked` says how long a comment may be, whether one is `required`, and the sentences for one
   * that is "missing" or too "long". `leave` takes the focus when the Escape key is pressed, `rested`
   * is called when writing has ended. */
  constructor(box, session, asked, leave, rested) {
    this.#box = box;
    this.#field = box.querySelector("textarea");
    this.#says = box.querySelector("[role=status]");
    this.#asked = { hint: this.#says.textContent, ...asked };
    this.#draft = `sreval-comment-${session}`;
    this.#field.addEventListener("input", () => {
      const kept = { position: this.#position, text: this.#field.value };
      // far more than can be sent may be more than a browser keeps
      if (kept.text.length <= 2 * asked.longest) sessionStorage.setItem(this.#draft, JSON.stringify(kept));
      this.#say(null);
    });
    this.#field.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.isComposing) leave();
    });
    this.#field.addEventListener("blur", rested);
  }

  /** Whether somebody writes at present. */
  get writing() {
    return document.activeElement === this.#field;
  }

  get text() {
    // half a sign, which some keyboards leave behind, can't be sent
    return this.#box.hidden ? "" : this.#field.value.replace(/\p{Cs}/gu, "").trim();
  }

  /** The box for the item at `position`, empty but for a draft of the same; none where no comment
   * is `taken`. */
  show(position, taken) {
    this.#position = position;
    this.#box.hidden = !taken;
    const kept = JSON.parse(sessionStorage.getItem(this.#draft));
    if (kept?.position !== position) this.drop();
    this.#field.value = kept?.position === position ? kept.text : "";
    this.#field.disabled = false;
    this.#say(null);
  }

  /** Nothing stands there until the next item, and nothing can be written. */
  close() {
    this.#field.value = "";
    this.#field.disabled = true;
  }

  /** No draft stays. */
  drop() {
    sessionStorage.removeItem(this.#draft);
  }

  /** Whether an answer may be given with what stands there; says why not, and leads there. */
  fits() {
    const characters = [...this.text].length;
    if (characters > this.#asked.longest) this.#say("long");
    else if (this.#asked.required && !characters && !this.#box.hidden) this.#say("missing");
    else return true;
    this.#field.focus();
    return false;
  }

  #say(fault) {
    const said = this.#asked[fault ?? "hint"];
    if (this.#says.textContent !== said) this.#says.textContent = said;
    this.#field.setAttribute("aria-invalid", String(fault !== null));
  }
}
