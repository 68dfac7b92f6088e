// The view of shares before and after a change of the timetable.

import { column, known, nameColumn, rows, theme } from "report/answer";
import { bars } from "report/charts";
import { percent, points, portion, t } from "report/i18n";
import { changes, shares, UNKNOWN } from "report/scale";
import { figures, limits, stateText } from "report/theme";

const WIDE = 0.15; // half an interval of a share from which on it is shown as uncertain

export function opening({ side }) {
  const areas = rows.opening;
  const share = (value, error) => ({
    value,
    low: Math.max(0, value - 1.96 * error),
    high: Math.min(1, value + 1.96 * error),
  });
  const cell = (i) => {
    const row = areas[i];
    if (!known(side === "change" ? row.change : row[side])) return { state: "absent" };
    if (side === "change")
      return {
        state: row.changed ? "value" : "uncertain",
        value: row.change,
        low: row.low95,
        high: row.high95,
      };
    const interval = share(row[side], row[`${side}_stderr`]);
    return {
      state: (interval.high - interval.low) / 2 > WIDE ? "uncertain" : "value",
      ...interval,
    };
  };
  const format = side === "change" ? points : portion;
  const scale = side === "change" ? changes(limits(points)) : shares(limits(percent));
  return theme("opening", areas, (name) => ({
    cell,
    colour: ({ value }) => (value === undefined ? UNKNOWN : scale.colour(value)),
    legend: {
      title: t(side === "change" ? "legend_change" : "legend_share"),
      classes: scale.legend,
      marks: ["uncertain_share", "absent"],
    },
    routes: [["OKD", "SHB"]],
    facts: (i) =>
      figures(
        cell(i),
        side === "change" ? (value) => t("point_change", { n: points(value) }) : portion,
        format,
        t(side === "change" ? "change" : `${side}_opening`),
      ),
    sentence: (i) => {
      const row = areas[i];
      if (!known(row.change)) return t("sentence_unknown_share", { place: name(i) });
      const filled = {
        place: name(i),
        before: portion(row.before),
        after: portion(row.after),
        change: points(row.change),
        low: points(row.low95),
        high: points(row.high95),
      };
      return t(row.changed ? "sentence_changed" : "sentence_same", filled);
    },
    details: (i) => {
      const items = ["before", "after"].map((at) => ({
        text: t(`${at}_opening`),
        ...(known(areas[i][at])
          ? share(areas[i][at], areas[i][`${at}_stderr`])
          : { state: "absent" }),
      }));
      return [
        bars(items, {
          title: t("opening_title", { place: name(i) }),
          format: portion,
          most: 1,
          hidden: stateText,
        }),
      ];
    },
    columns: [
      nameColumn(name),
      column(
        "before",
        t("before_opening"),
        (i) => (known(areas[i].before) ? portion(areas[i].before) : t("unknown")),
        (i) => areas[i].before,
      ),
      column(
        "after",
        t("after_opening"),
        (i) => (known(areas[i].after) ? portion(areas[i].after) : t("unknown")),
        (i) => areas[i].after,
      ),
      column(
        "change",
        t("change"),
        (i) => (known(areas[i].change) ? points(areas[i].change) : "–"),
        (i) => areas[i].change,
      ),
      column(
        "interval",
        t("interval"),
        (i) =>
          known(areas[i].change)
            ? t("to", { low: points(areas[i].low95), high: points(areas[i].high95) })
            : "–",
        (i) => areas[i].low95,
      ),
      column(
        "verdict",
        t("verdict"),
        (i) =>
          known(areas[i].changed)
            ? t(areas[i].changed ? "verdict_changed" : "verdict_same")
            : t("unknown"),
        (i) => (known(areas[i].changed) ? Number(areas[i].changed) : null),
        false,
      ),
    ],
    sortBy: 3,
    descending: true,
  }));
}
