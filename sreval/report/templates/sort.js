// Sorting only: the page says everything without it.
const value = (row, place) => {
  const text = row.cells[place].textContent.trim();
  const figure = text.replace("−", "-").match(/^[<+]?(-?\d*\.?\d+)/);
  if (text.startsWith("∞")) return Infinity;
  return figure ? Number(figure[1]) : text === "–" || text === "" ? NaN : text;
};
const compare = (a, b, down) => {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b); // last
  const numbers = typeof a === "number" && typeof b === "number";
  const order = numbers ? Math.sign(a - b) || 0
    : String(a).localeCompare(String(b), undefined, { numeric: true });
  return down ? -order : order;
};
const sortable = (heads, sort) => heads.forEach((head) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sort(head, down);
  });
});
for (const table of document.querySelectorAll("table.sortable:not(.across)")) {
  const body = table.tBodies[0];
  const groups = []; // a row, and below it those of its intervals and the paper's figures
  for (const row of body.rows) {
    if (row.matches(".interval, .paper")) groups.at(-1).push(row);
    else groups.push([row]);
  }
  if (groups.length < 2) continue;
  const heads = [...[...table.tHead.rows].at(-1).cells].filter((head) => head.textContent);
  sortable(heads, ({ cellIndex: place }, down) => {
    groups.sort((a, b) => compare(value(a[0], place), value(b[0], place), down));
    body.append(...groups.flat());
  });
}
for (const table of document.querySelectorAll("table.across")) {
  const rows = [...table.rows];
  const names = rows[0].querySelectorAll(".left").length;
  if (rows[0].cells.length < names + 2) continue;
  const heads = rows.slice(1).map((row) => row.cells[names - 1]).filter((head) => head.textContent);
  heads.forEach((head) => head.setAttribute("role", "rowheader"));
  sortable(heads, (head, down) => {
    const row = head.parentElement;
    const places = [...row.cells].slice(names).map((cell) => cell.cellIndex);
    const values = places.map((place) => value(row, place));
    places.sort((a, b) => compare(values[a - names], values[b - names], down));
    for (const one of rows) one.append(...places.map((place) => one.cells[place]));
  });
}
