// A theme is what one view shows: places with values and colours, a legend, a sentence, a table, charts. The views make
// themes from the data and the state; everything else on the page draws themes and knows nothing of studies.
//
//   id, kind ("municipality", "subprefecture", "all", "mesh", "none"), ground (same value: same places), extent
//   count, find(code, subprefecture) -> place or -1, level (of squares)
//   name(i), cell(i) -> {state, value, low, high}, colour(cell, i), routes
//   subtitle, legend {title, classes, marks}, sentence(i), facts(i), details(i) -> elements
//   overview: how the largest values are written while no place is chosen; without it they are not shown
//   columns, sortBy, descending, listTitle, note, record(i), file

import { t } from "report/i18n";

// Places of municipalities by code, for `find`.
export function finder(kind, codes) {
  const index = new Map(codes.map((code, i) => [code, i]));
  if (kind === "municipality") return (code) => index.get(code) ?? -1;
  if (kind === "subprefecture") return (_, subprefecture) => index.get(subprefecture) ?? -1;
  return kind === "all" ? () => 0 : () => -1;
}

// Labels of classes, for `scale`.
export const limits = (format) => ({
  below: (limit) => (limit === null ? t("any") : t("below", { limit: format(limit) })),
  above: (limit) => t("above", { limit: format(limit) }),
  between: (low, high) => t("between", { low: format(low), high: format(high) }),
});

export const stateText = (state) => t(`state_${state}`);

// What stands under the name of a place: the figure, with its unit, and its interval.
export const figures = (cell, full, format = full, title = t("estimate")) => [
  [title, cell.value === undefined ? "–" : full(cell.value)],
  [
    t("interval"),
    cell.value === undefined ? "–" : t("to", { low: format(cell.low), high: format(cell.high) }),
  ],
];
