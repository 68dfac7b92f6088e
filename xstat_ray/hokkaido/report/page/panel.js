// The chosen place: its figures, what they mean in plain words, its charts; and the line that follows the pointer.

import { bars } from "report/charts";
import { t } from "report/i18n";
import { stateText } from "report/theme";

export function draw({ facts, details }, theme, place) {
  facts.replaceChildren();
  details.replaceChildren();
  if (place < 0 || place >= theme.count) {
    facts.append(
      Object.assign(document.createElement("p"), {
        className: "hint",
        textContent: t("no_place_hint"),
      }),
    );
    details.append(...largest(theme));
    return;
  }
  const title = Object.assign(document.createElement("h2"), { textContent: theme.name(place) });
  const sentence = Object.assign(document.createElement("p"), {
    className: `said ${theme.cell(place).state}`,
    textContent: theme.sentence(place),
  });
  const list = document.createElement("dl");
  theme.facts(place).forEach(([name, value], i) => {
    const term = Object.assign(document.createElement("dt"), { textContent: name });
    const text = Object.assign(document.createElement("dd"), { textContent: value });
    text.dataset.fact = ["estimate", "interval", "status"][i];
    list.append(term, text);
  });
  facts.append(title, list, sentence);
  details.append(...theme.details(place));
}

const MOST = 8;

// While no place is chosen: what the map shows at a glance.
function largest(theme) {
  if (!theme.overview) return [];
  const places = Array.from({ length: theme.count }, (_, i) => i).filter(
    (i) => theme.cell(i).value !== undefined,
  );
  if (!places.length)
    return [Object.assign(document.createElement("p"), { textContent: t("nothing_published") })];
  places.sort((a, b) => theme.cell(b).value - theme.cell(a).value || a - b);
  const items = places.slice(0, MOST).map((i) => ({ ...theme.cell(i), text: theme.name(i) }));
  return [bars(items, { title: t("largest"), format: theme.overview, hidden: stateText })];
}

// The list of places, for those who use neither map nor table.
export function places(list, theme, place) {
  if (list.theme !== theme.ground + document.documentElement.lang + theme.id + theme.count) {
    list.theme = theme.ground + document.documentElement.lang + theme.id + theme.count;
    const options = Array.from(
      { length: theme.count },
      (_, i) => new Option(theme.name(i), String(i)),
    );
    list.replaceChildren(new Option(t("no_place"), "-1"), ...options);
  }
  list.value = String(place);
}

export function tip(box, theme, place, point) {
  box.hidden = place < 0;
  if (place < 0) return;
  const [estimate, interval] = theme.facts(place);
  const cell = theme.cell(place);
  const shown =
    cell.value === undefined ? t(`state_${cell.state}`) : `${estimate[1]}（${interval[1]}）`;
  box.textContent = `${theme.name(place)}： ${shown}`;
  const room = box.parentElement.clientWidth - 260;
  box.style.transform = `translate(${Math.min(point.x + 14, room)}px, ${point.y + 14}px)`;
}
