// The views of jobs.needs: the ranking, airports by municipality, before and after, and before boarding.

import { bars, profile } from "report/charts";
import { content, municipalities, rowsOf } from "report/data";
import { airport, label, named, percent, points, portion, t, whole } from "report/i18n";
import { CATEGORIES, changes, counts, shares, UNKNOWN } from "report/scale";
import { figures, finder, limits, stateText } from "report/theme";

const WIDE = 0.15; // half an interval of a share from which on it is shown as uncertain

const tables = content.answers?.tables ?? {};
const rows = Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, rowsOf(table)]));
const colours = new Map([...new Set((rows.watershed ?? []).map((row) => row.airport))].map((code, i) => [code, CATEGORIES[i]]));

// What the four views have in common: municipalities of the east.
function theme(id, own, parts) {
  const codes = own.map((row) => row.code);
  const name = (i) => named(municipalities.get(codes[i]));
  return {
    id,
    kind: "municipality",
    ground: "answers",
    extent: "east",
    count: codes.length,
    find: finder("municipality", codes),
    name,
    routes: [],
    subtitle: t(`about_${id}`),
    listTitle: t(`list_${id}`),
    note: "",
    record: (i) => ({ code: codes[i], name_ja: municipalities.get(codes[i]).name_ja, name_en: municipalities.get(codes[i]).name_en, ...clean(own[i]) }),
    file: id,
    ...parts(name),
  };
}

const clean = ({ code, ...rest }) => rest;
const known = (value) => value !== null && value !== undefined;
const column = (id, title, text, sort, numeric = true) => ({ id, title, text, sort, numeric });
const nameColumn = (name) => column("name", t("name"), name, name, false);
const district = (code) => content.subprefectures[municipalities.get(code).subprefecture];
const region = (code) => (document.documentElement.lang === "ja" ? district(code) : municipalities.get(code).subprefecture);

export function needs() {
  const own = rows.needs;
  const cell = (i) => {
    const { need: value, need_low95: low, need_high95: high, rank } = own[i];
    if (!known(rank)) return { state: "absent" };
    return { state: low > 0 ? "value" : "uncertain", value, low, high };
  };
  const scale = counts(1, Math.max(...own.map((row) => row.need ?? 0)), limits(whole));
  const number = (key, format) => [(i) => (known(own[i][key]) ? format(own[i][key]) : t("unknown")), (i) => own[i][key]];
  const minutes = (value) => t("min", { n: whole(value) });
  return theme("needs", own, (name) => ({
    cell,
    colour: ({ value }) => (value === undefined ? UNKNOWN : scale.colour(value)),
    legend: { title: t("legend_need"), classes: scale.legend, marks: ["uncertain", "absent"] },
    facts: (i) => figures(cell(i), (value) => t("visitor_hours", { n: whole(value) }), whole, t("need")),
    overview: whole,
    sentence: (i) => needSentence(own[i], name(i), own.length),
    details: (i) => [hours(own[i].code, name(i)), ...shareBars(own[i].code, name(i))],
    columns: [
      column("rank", t("rank"), (i) => (known(own[i].rank) ? t("ranked", { rank: own[i].rank, low: own[i].rank_low, high: own[i].rank_high }) : "–"), (i) => own[i].rank),
      nameColumn(name),
      column("need", t("need"), ...number("need", whole)),
      column("interval", t("interval"), (i) => (cell(i).value === undefined ? "–" : t("to", { low: whole(cell(i).low), high: whole(cell(i).high) })), (i) => own[i].need_low95),
      column("visitors", t("visitors"), ...number("visitors", whole)),
      column("air_share", t("air_share"), ...number("air_share", portion)),
      column("minutes", t("minutes"), ...number("landing_minutes", minutes)),
      column("road", t("road"), ...number("road_minutes", minutes)),
      column("main_airport", t("main_airport"), (i) => airport(own[i].main_airport ?? t("unknown")), (i) => own[i].main_airport, false),
      column("subprefecture", t("subprefecture"), (i) => region(own[i].code), (i) => region(own[i].code), false),
    ],
    nameColumn: 1,
    sortBy: 0,
    descending: false,
  }));
}

function needSentence(row, place, count) {
  if (!known(row.rank)) return t("said_no_need", { place });
  const filled = { place, count, rank: row.rank, rank_low: row.rank_low, rank_high: row.rank_high };
  const numbers = { need: row.need, low: row.need_low95, high: row.need_high95, visitors: row.visitors, flyers: row.flyers };
  Object.assign(numbers, { landing: row.landing_minutes, road: row.road_minutes });
  for (const [key, value] of Object.entries(numbers)) filled[key] = known(value) ? whole(Math.max(0, value)) : t("unknown");
  return t("said_need", filled);
}

function hours(code, place) {
  const items = rows.hours.filter((row) => row.code === code).map(({ hour, visitors, stderr }) => {
    const shown = known(visitors) ? { value: Math.max(0, visitors), low: Math.max(0, visitors - 1.96 * stderr), high: visitors + 1.96 * stderr } : {};
    return { ...shown, state: known(visitors) ? "value" : "absent", text: `${hour}:00`, short: String(hour) };
  });
  return profile(items, { title: t("hours_title", { place }), format: whole, hidden: stateText });
}

// Shares of the airports in one municipality.
function shareBars(code, place) {
  const own = rows.watershed.filter((row) => row.code === code);
  if (own.every((row) => !known(row.share))) return [];
  const items = own.map((row) => ({ text: airport(row.airport), value: row.share, low: row.low95, high: row.high95, colour: colours.get(row.airport) }));
  return [bars(items, { title: t("shares_title", { place }), format: portion, most: 1, hidden: stateText })];
}

export function watershed() {
  const codes = [...new Set(rows.watershed.map((row) => row.code))];
  const main = new Map(rows.needs.map((row) => [row.code, row.main_airport]));
  const own = codes.map((code) => ({ code, airports: rows.watershed.filter((row) => row.code === code) }));
  const largest = own.map(({ airports: all }) => all.reduce((best, row) => ((row.share ?? -1) > (best.share ?? -1) ? row : best)));
  const cell = (i) => {
    const { share: value, low95: low, high95: high } = largest[i];
    // A lead can be certain where the shares themselves cannot be told.
    if (!known(value)) return { state: main.get(codes[i]) ? "uncertain" : "absent" };
    return { state: main.get(codes[i]) ? "value" : "uncertain", value, low, high };
  };
  const foremost = (i) => main.get(codes[i]) ?? largest[i].airport;
  const each = [...colours.keys()];
  const share = (i, code) => own[i].airports.find((row) => row.airport === code)?.share ?? null;
  return theme("watershed", own, (name) => ({
    cell,
    colour: (_, i) => colours.get(foremost(i)),
    legend: {
      title: t("legend_airport"),
      classes: each.map((code) => ({ colour: colours.get(code), text: airport(code) })),
      marks: ["uncertain_share", "absent"],
    },
    routes: each.map((code) => [code]),
    facts: (i) => figures(cell(i), portion, portion, t("share_of", { airport: airport(foremost(i)) })),
    sentence: (i) => {
      const { state, value, low, high } = cell(i);
      if (state === "absent") return t("said_unknown_share", { place: name(i) });
      const filled = { place: name(i), share: portion(value), low: portion(low), high: portion(high), airport: airport(foremost(i)) };
      if (value === undefined) return t("said_main_alone", filled);
      return t(main.get(codes[i]) ? "said_main" : "said_no_main", filled);
    },
    details: (i) => shareBars(codes[i], name(i)),
    columns: [
      nameColumn(name),
      column("main_airport", t("main_airport"), (i) => (main.get(codes[i]) ? airport(main.get(codes[i])) : t("unknown")), (i) => main.get(codes[i]) ?? null, false),
      ...each.map((code) => column(code, airport(code), (i) => (known(share(i, code)) ? portion(share(i, code)) : "–"), (i) => share(i, code))),
    ],
    sortBy: 1,
    descending: false,
    record: (i) => ({ code: codes[i], name_ja: municipalities.get(codes[i]).name_ja, name_en: municipalities.get(codes[i]).name_en, main_airport: main.get(codes[i]) ?? null, ...Object.fromEntries(own[i].airports.map((row) => [row.airport, row.share])) }),
  }));
}

export function opening({ side }) {
  const own = rows.opening;
  const share = (value, error) => ({ value, low: Math.max(0, value - 1.96 * error), high: Math.min(1, value + 1.96 * error) });
  const cell = (i) => {
    const row = own[i];
    if (!known(side === "change" ? row.change : row[side])) return { state: "absent" };
    if (side === "change") return { state: row.changed ? "value" : "uncertain", value: row.change, low: row.low95, high: row.high95 };
    const one = share(row[side], row[`${side}_stderr`]);
    return { state: (one.high - one.low) / 2 > WIDE ? "uncertain" : "value", ...one };
  };
  const format = side === "change" ? points : portion;
  const scale = side === "change" ? changes(limits(points)) : shares(limits(percent));
  return theme("opening", own, (name) => ({
    cell,
    colour: ({ value }) => (value === undefined ? UNKNOWN : scale.colour(value)),
    legend: { title: t(side === "change" ? "legend_change" : "legend_share"), classes: scale.legend, marks: ["uncertain_share", "absent"] },
    routes: [["OKD", "SHB"]],
    facts: (i) => figures(cell(i), side === "change" ? (value) => t("point_change", { n: points(value) }) : portion, format, t(side === "change" ? "change" : `${side}_opening`)),
    sentence: (i) => {
      const row = own[i];
      if (!known(row.change)) return t("said_unknown_share", { place: name(i) });
      const filled = { place: name(i), before: portion(row.before), after: portion(row.after), change: points(row.change), low: points(row.low95), high: points(row.high95) };
      return t(row.changed ? "said_changed" : "said_same", filled);
    },
    details: (i) => {
      const items = ["before", "after"].map((at) => ({ text: t(`${at}_opening`), ...(known(own[i][at]) ? share(own[i][at], own[i][`${at}_stderr`]) : { state: "absent" }) }));
      return [bars(items, { title: t("opening_title", { place: name(i) }), format: portion, most: 1, hidden: stateText })];
    },
    columns: [
      nameColumn(name),
      column("before", t("before_opening"), (i) => (known(own[i].before) ? portion(own[i].before) : t("unknown")), (i) => own[i].before),
      column("after", t("after_opening"), (i) => (known(own[i].after) ? portion(own[i].after) : t("unknown")), (i) => own[i].after),
      column("change", t("change"), (i) => (known(own[i].change) ? points(own[i].change) : "–"), (i) => own[i].change),
      column("interval", t("interval"), (i) => (known(own[i].change) ? t("to", { low: points(own[i].low95), high: points(own[i].high95) }) : "–"), (i) => own[i].low95),
      column("verdict", t("verdict"), (i) => (known(own[i].changed) ? t(own[i].changed ? "verdict_changed" : "verdict_same") : t("unknown")), (i) => (known(own[i].changed) ? Number(own[i].changed) : null), false),
    ],
    sortBy: 3,
    descending: true,
  }));
}

const STATES = { "near home": CATEGORIES[0], "near airport": CATEGORIES[1], elsewhere: CATEGORIES[2] };

// Not on the map: shares by airport and half of the day.
export function boarding() {
  const places = [...new Map(rows.boarding.map((row) => [`${row.airport} ${row.flight}`, row])).values()];
  const moments = [...new Set(rows.boarding.map((row) => row.before))];
  const of = (place, moment) => rows.boarding.filter((row) => row.airport === place.airport && row.flight === place.flight && row.before === moment);
  const name = (i) => `${airport(places[i].airport)}・${label("flight", places[i].flight)}`;
  const near = (i, moment) => of(places[i], moment).find((row) => row.state === "near airport")?.share ?? null;
  const chart = (i, wide) => moments.map((moment) => {
    const items = of(places[i], moment).map((row) => ({ text: label("state", row.state), value: row.share, low: row.low95, high: row.high95, colour: STATES[row.state], state: known(row.share) ? "value" : "absent" }));
    return bars(items, { title: t("boarding_title", { place: name(i), moment: label("before", moment) }), format: portion, most: 1, hidden: stateText, wide });
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
    legend: { title: t("legend_share"), classes: Object.entries(STATES).map(([text, colour]) => ({ colour, text: label("state", text) })), marks: [] },
    facts: () => [],
    sentence: (i) => t("said_boarding", { place: name(i) }),
    details: () => [],
    bars: (i) => chart(Math.max(0, i), true),
    columns: [
      { ...nameColumn(name) },
      ...moments.map((moment) => column(moment, `${label("state", "near airport")} ${label("before", moment)}`, (i) => (known(near(i, moment)) ? portion(near(i, moment)) : "–"), (i) => near(i, moment))),
    ],
    sortBy: 0,
    descending: false,
    listTitle: t("list_boarding"),
    note: "",
    record: (i) => ({ ...Object.fromEntries(["airport", "flight"].map((key) => [key, places[i][key]])), ...Object.fromEntries(moments.flatMap((moment) => of(places[i], moment).map((row) => [`${moment} ${row.state}`, row.share]))) }),
    file: "boarding",
  };
}

// Which of these views the page has data for.
export const available = () => Object.keys({ opening: 1, watershed: 1, needs: 1, boarding: 1 }).filter((name) => rows[name]);
