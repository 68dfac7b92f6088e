// A table that sorts by any column. A row stands for a place: choosing it chooses the place.

const MOST = 200;
const PAPER = 18; // rows that fit on the second page

// Columns: {id, title, text(i), sort(i), numeric}; `null` to sort by comes last in either direction.
export function sorted(count, column, descending) {
  const keys = Array.from({ length: count }, (_, i) => column.sort(i));
  const order = Array.from({ length: count }, (_, i) => i);
  const turn = descending ? -1 : 1;
  return order.sort((a, b) => {
    if (keys[a] === null || keys[b] === null)
      return (keys[a] === null) - (keys[b] === null) || a - b;
    const text = typeof keys[a] === "string";
    return (
      turn *
        (text
          ? keys[a].localeCompare(keys[b], document.documentElement.lang)
          : keys[a] - keys[b]) || a - b
    );
  });
}

// Draws the table; returns how many rows of how many are shown.
export function draw(table, theme, { sort, descending, chosen, onSort, onChoose }) {
  const column =
    theme.columns.find((candidate) => candidate.id === sort) ?? theme.columns[theme.sortBy ?? 0];
  const order = sorted(theme.count, column, descending);
  const head = document.createElement("tr");
  for (const each of theme.columns) head.append(heading(each, each === column, descending, onSort));
  const body = document.createElement("tbody");
  order.slice(0, MOST).forEach((place, i) => {
    body.append(row(theme, place, place === chosen, onChoose));
    if (i >= PAPER) body.lastChild.classList.add("screen");
  });
  const top = document.createElement("thead");
  top.append(head);
  table.replaceChildren(top, body);
  return { shown: Math.min(MOST, theme.count), printed: Math.min(PAPER, theme.count) };
}

function heading(column, active, descending, onSort) {
  const cell = document.createElement("th");
  cell.scope = "col";
  cell.className = column.numeric ? "number" : "";
  cell.setAttribute("aria-sort", active ? (descending ? "descending" : "ascending") : "none");
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = column.title;
  button.dataset.column = column.id;
  button.addEventListener("click", () =>
    onSort(column.id, active ? !descending : Boolean(column.numeric)),
  );
  cell.append(button);
  return cell;
}

function row(theme, place, chosen, onChoose) {
  const line = document.createElement("tr");
  line.dataset.place = place;
  line.className = [theme.cell(place).state, chosen ? "chosen" : ""].join(" ");
  theme.columns.forEach((column, i) => {
    const cell = document.createElement(i === (theme.nameColumn ?? 0) ? "th" : "td");
    if (column.numeric) cell.className = "number";
    if (i === (theme.nameColumn ?? 0)) {
      cell.scope = "row";
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = column.text(place);
      button.addEventListener("click", () => onChoose(place));
      cell.append(button);
    } else cell.textContent = column.text(place);
    line.append(cell);
  });
  return line;
}

// Marks the row of the chosen place without drawing the table again.
export function mark(table, place) {
  table.querySelector("tr.chosen")?.classList.remove("chosen");
  table.querySelector(`tr[data-place="${place}"]`)?.classList.add("chosen");
}
