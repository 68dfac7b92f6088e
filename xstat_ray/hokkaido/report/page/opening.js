// The view of shares before and after a change of the timetable.

import { column, known, nameColumn, rows, theme } from "report/answer";
import { bars } from "report/charts";
import { percent, points, portion, t } from "report/i18n";
import { changes, shares, UNKNOWN } from "report/scale";
import { figures, limits, stateText } from "report/theme";

const WIDE = 0.15; // half an interval of a share from which on it is shown as uncertain

export function opening({ side }) {
  const own = rows.opening;
  const share = (value, error) => ({
    value,
    low: Math.max(0, value - 1.96 * error),
    high: Math.min(1, value + 1.96 * error),
  });
  const cell = (i) => {
    const row = own[i];
    if (!known(side === "change" ? row.change : row[side])) return { state: "absent" };
    if (side === "change")
      return {
        state: row.changed ? "value" : "uncertain",
        value: row.change,
        low: row.low95,
        high: row.high95,
      };
    const one = share(row[side], row[`${side}_stderr`]);
    return { state: (one.high - one.low) / 2 > WIDE ? "uncertain" : "value", ...one };
  };
  const format = side === "change" ? points : portion;
  const scale = side === "change" ? changes(limits(points)) : shares(limits(percent));
  return theme("opening", own, (name) => ({
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
      const row = own[i];
      if (!known(row.change)) return t("said_unknown_share", { place: name(i) });
      const filled = {
        place: name(i),
        before: portion(row.before),
        after: portion(row.after),
        change: points(row.change),
        low: points(row.low95),
        high: points(row.high95),
      };
      return t(row.changed ? "said_changed" : "said_same", filled);
    },
    details: (i) => {
      const items = ["before", "after"].map((at) => ({
        text: t(`${at}_opening`),
        ...(known(own[i][at]) ? share(own[i][at], own[i][`${at}_stderr`]) : { state: "absent" }),
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
        (i) => (known(own[i].before) ? portion(own[i].before) : t("unknown")),
        (i) => own[i].before,
      ),
      column(
        "after",
        t("after_opening"),
        (i) => (known(own[i].after) ? portion(own[i].after) : t("unknown")),
        (i) => own[i].after,
      ),
      column(
        "change",
        t("change"),
        (i) => (known(own[i].change) ? points(own[i].change) : "–"),
        (i) => own[i].change,
      ),
      column(
        "interval",
        t("interval"),
        (i) =>
          known(own[i].change)
            ? t("to", { low: points(own[i].low95), high: points(own[i].high95) })
            : "–",
        (i) => own[i].low95,
      ),
      column(
        "verdict",
        t("verdict"),
        (i) =>
          known(own[i].changed)
            ? t(own[i].changed ? "verdict_changed" : "verdict_same")
            : t("unknown"),
        (i) => (known(own[i].changed) ? Number(own[i].changed) : null),
        false,
      ),
    ],
    sortBy: 3,
    descending: true,
  }));
}
