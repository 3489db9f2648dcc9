// Which digit or letter a key stands for.

/** The name of an arrow key that was pressed, "ArrowLeft" and so on. Null as for `digit`. */
export const arrow = (event) =>
  !meansOther(event) && event.key.startsWith("Arrow") ? event.key : null;

const isDigit = (text) => /^\p{Nd}$/u.test(text);

/** The digit on a key that was pressed: as typed, in any script, else by where the key lies, since
 * some keyboards type digits only with Shift or Num Lock. Null for all other keys, for shortcuts
 * and while something is written. */
export function digit(event) {
  if (meansOther(event)) return null;
  if (!isDigit(event.key)) {
    const place = /^(?:Digit|Numpad)([0-9])$/.exec(event.code);
    return place && Number(place[1]);
  }
  // the digits of a script stand in a row that begins with its zero
  const typed = event.key.codePointAt(0);
  let first = typed;
  while (isDigit(String.fromCodePoint(first - 1))) first--;
  return (typed - first) % 10;
}

/** The letter on a key that was pressed, small; by where the key lies where it types another script.
 * Null as for `digit`. */
export function letter(event) {
  if (meansOther(event)) return null;
  const typed = event.key.toLowerCase();
  return /^[a-z]$/.test(typed) ? typed : (/^Key([A-Z])$/.exec(event.code)?.[1].toLowerCase() ?? null);
}

/** Whether a key belongs to a shortcut, or to what is being written. */
export const meansOther = (event) =>
  event.ctrlKey ||
  event.altKey ||
  event.metaKey ||
  event.getModifierState?.("AltGraph") ||
  writes(event);

const writes = ({ isComposing, target }) =>
  isComposing || target.isContentEditable || target.matches?.("input, textarea, select");
