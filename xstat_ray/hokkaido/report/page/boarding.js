// The view of where passengers are before they board. It is not on the map: shares by airport and half of the day.

import { column, known, nameColumn, rows } from "report/answer";
import { bars } from "report/charts";
import { airport, label, portion, t } from "report/i18n";
import { CATEGORIES, UNKNOWN } from "report/scale";
import { stateText } from "report/theme";

const STATES = {
  "near home": CATEGORIES[0],
  "near airport": CATEGORIES[1],
  elsewhere: CATEGORIES[2],
};

export function boarding() {
  const places = [
    ...new Map(rows.boarding.map((row) => [`${row.airport} ${row.flight}`, row])).values(),
  ];
  const moments = [...new Set(rows.boarding.map((row) => row.before))];
  const of = (place, moment) =>
    rows.boarding.filter(
      (row) =>
        row.airport === place.airport && row.flight === place.flight && row.before === moment,
    );
  const name = (i) => `${airport(places[i].airport)}・${label("flight", places[i].flight)}`;
  const near = (i, moment) =>
    of(places[i], moment).find((row) => row.state === "near airport")?.share ?? null;
  const chart = (i, wide) =>
    moments.map((moment) => {
      const items = of(places[i], moment).map((row) => ({
        text: label("state", row.state),
        value: row.share,
        low: row.low95,
        high: row.high95,
        colour: STATES[row.state],
        state: known(row.share) ? "value" : "absent",
      }));
      return bars(items, {
        title: t("boarding_title", { place: name(i), moment: label("before", moment) }),
        format: portion,
        most: 1,
        hidden: stateText,
        wide,
      });
    });
  return {
    id: "boarding",
    kind: "none",
    ground: "boarding",
    count: places.length,
    find: () => -1,
    name,
    cell: () => ({ state: "value" }),
    colour: () => UNKNOWN,
    routes: [],
    subtitle: t("about_boarding"),
    legend: {
      title: t("legend_share"),
      classes: Object.entries(STATES).map(([text, colour]) => ({
        colour,
        text: label("state", text),
      })),
      marks: [],
    },
    facts: () => [],
    sentence: (i) => t("sentence_boarding", { place: name(i) }),
    details: () => [],
    bars: (i) => chart(Math.max(0, i), true),
    columns: [
      { ...nameColumn(name) },
      ...moments.map((moment) =>
        column(
          moment,
          `${label("state", "near airport")} ${label("before", moment)}`,
          (i) => (known(near(i, moment)) ? portion(near(i, moment)) : "–"),
          (i) => near(i, moment),
        ),
      ),
    ],
    sortBy: 0,
    descending: false,
    listTitle: t("list_boarding"),
    note: "",
    record: (i) => ({
      ...Object.fromEntries(["airport", "flight"].map((key) => [key, places[i][key]])),
      ...Object.fromEntries(
        moments.flatMap((moment) =>
          of(places[i], moment).map((row) => [`${moment} ${row.state}`, row.share]),
        ),
      ),
    }),
    file: "boarding",
  };
}
