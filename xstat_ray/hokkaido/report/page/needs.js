// The view of needs: the ranking of municipalities by visitors whom transport serves badly.

import { column, known, nameColumn, rows, theme } from "report/answer";
import { profile } from "report/charts";
import { content, municipalities } from "report/data";
import { airport, portion, t, whole } from "report/i18n";
import { counts, UNKNOWN } from "report/scale";
import { figures, limits, stateText } from "report/theme";
import { shareBars } from "report/watershed";

const district = (code) => content.subprefectures[municipalities.get(code).subprefecture];
const region = (code) =>
  document.documentElement.lang === "ja" ? district(code) : municipalities.get(code).subprefecture;

export function needs() {
  const areas = rows.needs;
  const cell = (i) => {
    const { need: value, need_low95: low, need_high95: high, rank } = areas[i];
    if (!known(rank)) return { state: "absent" };
    return { state: low > 0 ? "value" : "uncertain", value, low, high };
  };
  const scale = counts(1, Math.max(...areas.map((row) => row.need ?? 0)), limits(whole));
  const number = (key, format) => [
    (i) => (known(areas[i][key]) ? format(areas[i][key]) : t("unknown")),
    (i) => areas[i][key],
  ];
  const minutes = (value) => t("min", { n: whole(value) });
  return theme("needs", areas, (name) => ({
    cell,
    colour: ({ value }) => (value === undefined ? UNKNOWN : scale.colour(value)),
    legend: { title: t("legend_need"), classes: scale.legend, marks: ["uncertain", "absent"] },
    facts: (i) =>
      figures(cell(i), (value) => t("visitor_hours", { n: whole(value) }), whole, t("need")),
    overview: whole,
    sentence: (i) => needSentence(areas[i], name(i), areas.length),
    details: (i) => [hours(areas[i].code, name(i)), ...shareBars(areas[i].code, name(i))],
    columns: [
      column(
        "rank",
        t("rank"),
        (i) =>
          known(areas[i].rank)
            ? t("ranked", { rank: areas[i].rank, low: areas[i].rank_low, high: areas[i].rank_high })
            : "–",
        (i) => areas[i].rank,
      ),
      nameColumn(name),
      column("need", t("need"), ...number("need", whole)),
      column(
        "interval",
        t("interval"),
        (i) =>
          cell(i).value === undefined
            ? "–"
            : t("to", { low: whole(cell(i).low), high: whole(cell(i).high) }),
        (i) => areas[i].need_low95,
      ),
      column("visitors", t("visitors"), ...number("visitors", whole)),
      column("air_share", t("air_share"), ...number("air_share", portion)),
      column("minutes", t("minutes"), ...number("landing_minutes", minutes)),
      column("road", t("road"), ...number("road_minutes", minutes)),
      column(
        "main_airport",
        t("main_airport"),
        (i) => airport(areas[i].main_airport ?? t("unknown")),
        (i) => areas[i].main_airport,
        false,
      ),
      column(
        "subprefecture",
        t("subprefecture"),
        (i) => region(areas[i].code),
        (i) => region(areas[i].code),
        false,
      ),
    ],
    nameColumn: 1,
    sortBy: 0,
    descending: false,
  }));
}

function needSentence(row, place, count) {
  if (!known(row.rank)) return t("sentence_no_need", { place });
  const filled = { place, count, rank: row.rank, rank_low: row.rank_low, rank_high: row.rank_high };
  const numbers = {
    need: row.need,
    low: row.need_low95,
    high: row.need_high95,
    visitors: row.visitors,
    flyers: row.flyers,
  };
  Object.assign(numbers, { landing: row.landing_minutes, road: row.road_minutes });
  for (const [key, value] of Object.entries(numbers))
    filled[key] = known(value) ? whole(Math.max(0, value)) : t("unknown");
  return t("sentence_need", filled);
}

function hours(code, place) {
  const items = rows.hours
    .filter((row) => row.code === code)
    .map(({ hour, visitors, stderr }) => {
      const shown = known(visitors)
        ? {
            value: Math.max(0, visitors),
            low: Math.max(0, visitors - 1.96 * stderr),
            high: visitors + 1.96 * stderr,
          }
        : {};
      return {
        ...shown,
        state: known(visitors) ? "value" : "absent",
        text: `${hour}:00`,
        short: String(hour),
      };
    });
  return profile(items, { title: t("hours_title", { place }), format: whole, hidden: stateText });
}
