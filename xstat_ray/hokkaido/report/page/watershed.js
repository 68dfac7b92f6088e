// The view of airports: which of them the passengers of a municipality use.

import { column, known, nameColumn, rows, theme } from "report/answer";
import { bars } from "report/charts";
import { municipalities } from "report/data";
import { airport, portion, t } from "report/i18n";
import { CATEGORIES } from "report/scale";
import { figures, stateText } from "report/theme";

const colours = new Map(
  [...new Set((rows.watershed ?? []).map((row) => row.airport))].map((code, i) => [
    code,
    CATEGORIES[i],
  ]),
);

// Shares of the airports in a municipality.
export function shareBars(code, place) {
  const ofPlace = rows.watershed.filter((row) => row.code === code);
  if (ofPlace.every((row) => !known(row.share))) return [];
  const items = ofPlace.map((row) => ({
    text: airport(row.airport),
    value: row.share,
    low: row.low95,
    high: row.high95,
    colour: colours.get(row.airport),
  }));
  return [
    bars(items, {
      title: t("shares_title", { place }),
      format: portion,
      most: 1,
      hidden: stateText,
    }),
  ];
}

export function watershed() {
  const codes = [...new Set(rows.watershed.map((row) => row.code))];
  const main = new Map(rows.needs.map((row) => [row.code, row.main_airport]));
  const areas = codes.map((code) => ({
    code,
    airports: rows.watershed.filter((row) => row.code === code),
  }));
  const largest = areas.map(({ airports: all }) =>
    all.reduce((best, row) => ((row.share ?? -1) > (best.share ?? -1) ? row : best)),
  );
  const cell = (i) => {
    const { share: value, low95: low, high95: high } = largest[i];
    // A lead can be certain where the shares themselves cannot be told.
    if (!known(value)) return { state: main.get(codes[i]) ? "uncertain" : "absent" };
    return { state: main.get(codes[i]) ? "value" : "uncertain", value, low, high };
  };
  const foremost = (i) => main.get(codes[i]) ?? largest[i].airport;
  const each = [...colours.keys()];
  const share = (i, code) => areas[i].airports.find((row) => row.airport === code)?.share ?? null;
  return theme("watershed", areas, (name) => ({
    cell,
    colour: (_, i) => colours.get(foremost(i)),
    legend: {
      title: t("legend_airport"),
      classes: each.map((code) => ({ colour: colours.get(code), text: airport(code) })),
      marks: ["uncertain_share", "absent"],
    },
    routes: each.map((code) => [code]),
    facts: (i) =>
      figures(cell(i), portion, portion, t("share_of", { airport: airport(foremost(i)) })),
    sentence: (i) => {
      const { state, value, low, high } = cell(i);
      if (state === "absent") return t("sentence_unknown_share", { place: name(i) });
      const filled = {
        place: name(i),
        share: portion(value),
        low: portion(low),
        high: portion(high),
        airport: airport(foremost(i)),
      };
      if (value === undefined) return t("sentence_main_alone", filled);
      return t(main.get(codes[i]) ? "sentence_main" : "sentence_no_main", filled);
    },
    details: (i) => shareBars(codes[i], name(i)),
    columns: [
      nameColumn(name),
      column(
        "main_airport",
        t("main_airport"),
        (i) => (main.get(codes[i]) ? airport(main.get(codes[i])) : t("unknown")),
        (i) => main.get(codes[i]) ?? null,
        false,
      ),
      ...each.map((code) =>
        column(
          code,
          airport(code),
          (i) => (known(share(i, code)) ? portion(share(i, code)) : "–"),
          (i) => share(i, code),
        ),
      ),
    ],
    sortBy: 1,
    descending: false,
    record: (i) => ({
      code: codes[i],
      name_ja: municipalities.get(codes[i]).name_ja,
      name_en: municipalities.get(codes[i]).name_en,
      main_airport: main.get(codes[i]) ?? null,
      ...Object.fromEntries(areas[i].airports.map((row) => [row.airport, row.share])),
    }),
  }));
}
