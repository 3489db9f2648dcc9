// Sorting only: the page says everything without it.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const groups = []; // a row, and below it those of its intervals and the paper's figures
  for (const row of body.rows) {
    if (row.matches(".interval, .paper")) groups.at(-1).push(row);
    else groups.push([row]);
  }
  if (groups.length < 2) continue;
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
  const heads = [...table.tHead.rows].at(-1).cells;
  [...heads].forEach((head, place) => {
    if (!head.textContent) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      groups.sort((a, b) => compare(value(a[0], place), value(b[0], place), down));
      body.append(...groups.flat());
    });
  });
}
