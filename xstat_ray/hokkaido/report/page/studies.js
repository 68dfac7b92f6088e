// The view of one release: any study, its levels and dimensions.

import { bars, profile } from "report/charts";
import { choiceAt, content, municipalities, slotOf, slotsOf, valueAt } from "report/data";
import { current, dimension, isTime, label, named, t, whole } from "report/i18n";
import { codeOf } from "report/mesh";
import { counts, means, UNKNOWN } from "report/scale";
import { figures, finder, limits, stateText } from "report/theme";

// The theme of the chosen release, level and labels; the release must be ready (data.js).
export function studies(state) {
  const layer = content.layers[state.layer];
  const level = layer.levels[Math.min(state.level, layer.levels.length - 1)];
  const choice = choiceOf(state, layer);
  const slot = slotOf(layer, choice);
  const cells = new Map();
  const cell = (i) => {
    if (!cells.has(i)) cells.set(i, valueAt(layer, level, i, slot));
    return cells.get(i);
  };
  const scale = scaleOf(layer, level);
  const name = (i) => placeName(layer, level, i);
  const chosen = layer.dimensions.map((dim, i) => label(dim.name, dim.labels[choice[i]]));
  return {
    id: "studies",
    kind: level.kind,
    level,
    ground: `${level.kind}${state.layer}`,
    extent: level.kind === "mesh" ? level : "hokkaido",
    count: level.count,
    find: finder(level.kind, level.places ?? []),
    name,
    cell,
    colour: ({ value }) => (value === undefined ? UNKNOWN : scale.colour(value)),
    routes: routesOf(layer, choice),
    subtitle: [titleOf(layer), chosen.join("・")].filter(Boolean).join(" ― "),
    legend: {
      title: layer.mean ? t("legend_mean", { what: whatOf(layer.mean) }) : t("legend_people"),
      classes: scale.legend,
      marks: ["uncertain", "suppressed", "absent"],
    },
    sentence: (i) => sentence(layer, name(i), cell(i)),
    facts: (i) => [...figures(cell(i), whole), [t("status"), stateText(cell(i).state)]],
    overview: level.kind === "mesh" ? null : whole,
    details: (i) => details(layer, level, choice, i, name(i)),
    bars: () => overview(level, name, cell, chosen.join("・")),
    columns: columns(name, cell),
    sortBy: 1,
    descending: true,
    listTitle: t("list_studies"),
    note: tally(level, cell),
    record: (i) => record(layer, level, choice, i, cell(i)),
    file: [layer.study, ...layer.dimensions.map((dim, i) => dim.labels[choice[i]])]
      .join("_")
      .replace(/[^\w+-]+/g, "-"),
  };
}

// One number a dimension; at first the labels under which most was counted.
export function choiceOf(state, layer) {
  return state.choices[layer.study] ?? busiest(layer);
}

function busiest(layer) {
  if (layer.busiest) return layer.busiest;
  const level = layer.levels[layer.levels.length - 1];
  const slots = slotsOf(layer);
  const sums = new Float64Array(slots);
  for (let at = 0; at < level.estimate.length; at++)
    sums[at % slots] += Math.max(level.estimate[at], 0);
  layer.busiest = choiceAt(layer, sums.indexOf(Math.max(...sums)));
  return layer.busiest;
}

export function titleOf(layer) {
  return layer.title[current()] ?? layer.title.en ?? layer.study;
}

// One scale for all labels of a level, so that colours can be compared from hour to hour.
function scaleOf(layer, level) {
  if (level.most === undefined)
    level.most = level.estimate.reduce((most, value) => Math.max(most, value), 0);
  if (!layer.mean) return counts(layer.facts.suppress_below ?? 1, level.most, limits(whole));
  const least = level.estimate.reduce(
    (least, value) => (value < 0 ? least : Math.min(least, value)),
    level.most,
  );
  return means(least, level.most, limits(whole));
}

// What a mean is of, with its unit.
function whatOf(mean) {
  return mean.unit ? `${mean.name}, ${mean.unit}` : mean.name;
}

function placeName(layer, level, i) {
  if (level.kind === "mesh") {
    const town = municipalities.get(content.municipalities.code[level.municipality[i]]);
    return t("mesh", { code: codeOf(level, i), town: town ? named(town) : t("sea") });
  }
  if (level.kind === "none" || level.kind === "all") return label(layer.place, level.places[i]);
  return (current() === "ja" ? level.name_ja : level.name_en)[i];
}

// Flights that the chosen labels speak of; an airport alone is no line, but is marked all the same.
function routesOf(layer, choice) {
  const texts = layer.dimensions.map((dim, i) => dim.labels[choice[i]]);
  const route = texts.map((text) => /^([A-Z]{3})-([A-Z]{3})$/.exec(text)).filter(Boolean);
  return [
    ...route.map(([, from, to]) => [from, to]),
    ...texts.filter((text) => /^[A-Z]{3}$/.test(text)).map((text) => [text]),
  ];
}

function sentence(layer, place, cell) {
  const filled = {
    place,
    value: "",
    low: "",
    high: "",
    threshold: layer.facts.suppress_below ?? "",
  };
  if (layer.mean && cell.value !== undefined) return sentenceOfMean(layer, place, cell);
  if (cell.value !== undefined)
    for (const key of ["value", "low", "high"]) filled[key] = t("people", { n: whole(cell[key]) });
  if (layer.noise_free && cell.value !== undefined) return t("sentence_exact", filled);
  const sentence = t(`sentence_${cell.state}`, filled);
  if (cell.value === undefined) return sentence;
  return `${sentence} ${layer.facts.expanded ? t("expanded") : t("counted", { units: layer.facts.person_counts })}`;
}

function sentenceOfMean(layer, place, cell) {
  const filled = { place, what: whatOf(layer.mean) };
  for (const key of ["value", "low", "high"]) filled[key] = whole(cell[key]);
  if (layer.noise_free) return t("sentence_exact", filled);
  return `${t("sentence_mean", filled)} ${t("counted", { units: layer.facts.person_counts })}`;
}

// One chart for each dimension, those of time first: how the value changes when only this label does.
function details(layer, level, choice, place, name) {
  const axes = layer.dimensions
    .map((_, axis) => axis)
    .sort((a, b) => isTime(layer.dimensions[b]) - isTime(layer.dimensions[a]));
  return axes.map((axis) => {
    const dim = layer.dimensions[axis];
    const items = dim.labels.map((text, i) => {
      const cell = valueAt(layer, level, place, slotOf(layer, choice.with(axis, i)));
      return {
        ...cell,
        text: label(dim.name, text),
        ...shortened(dim, text),
        current: i === choice[axis],
      };
    });
    if (isTime(dim))
      return profile(items, {
        title: t("profile_title", { place: name }),
        format: whole,
        hidden: stateText,
      });
    const title = t("compare_title", { place: name, dimension: dimension(dim.name) });
    return bars(items, { title, format: whole, hidden: stateText });
  });
}

// "departure-6h" becomes "-6" in the group "before departure".
function shortened(dim, text) {
  const parts = /^(\w+?)([+-]\d+)([hmd])$/.exec(text);
  if (!parts) return { short: dim.name === "time" ? String(Number(text.slice(0, 2))) : text };
  const side = parts[2].startsWith("-") ? "group_before" : "group_after";
  const group = t(side, { event: label("", parts[1]), unit: t(`unit_${parts[3]}`) });
  return { short: parts[2].replace("-", "−"), group };
}

const MOST_BARS = 60;

// For studies that are not on the map: the places side by side, the largest first.
function overview(level, name, cell, title) {
  const places = Array.from({ length: level.count }, (_, i) => i).sort(
    (a, b) => (cell(b).value ?? -1) - (cell(a).value ?? -1) || a - b,
  );
  const items = places.slice(0, MOST_BARS).map((i) => ({ ...cell(i), text: name(i) }));
  return bars(items, {
    title: t("bars_title", { title }),
    format: whole,
    hidden: stateText,
    wide: true,
  });
}

function columns(name, cell) {
  const number = (key) => ({
    numeric: true,
    text: (i) => (cell(i).value === undefined ? "–" : whole(cell(i)[key])),
    sort: (i) => (cell(i).value === undefined ? null : cell(i)[key]),
  });
  const range = ({ value, low, high }) =>
    value === undefined ? "–" : t("to", { low: whole(low), high: whole(high) });
  return [
    { id: "name", title: t("name"), text: name, sort: name },
    { id: "estimate", title: t("estimate"), ...number("value") },
    { id: "interval", title: t("interval"), ...number("low"), text: (i) => range(cell(i)) },
    {
      id: "status",
      title: t("status"),
      text: (i) => stateText(cell(i).state),
      sort: (i) => cell(i).state,
    },
  ];
}

function tally(level, cell) {
  const states = { value: 0, uncertain: 0, suppressed: 0, absent: 0 };
  for (let i = 0; i < level.count; i++) states[cell(i).state]++;
  return t("totals", {
    published: whole(states.value + states.uncertain),
    suppressed: whole(states.suppressed),
  });
}

function record(layer, level, choice, i, { state, value, low, high }) {
  const labels = level.kind === "mesh" ? { code: codeOf(level, i) } : { code: level.places[i] };
  if (level.name_ja)
    Object.assign(labels, { name_ja: level.name_ja[i], name_en: level.name_en[i] });
  for (const [at, dim] of layer.dimensions.entries()) labels[dim.name] = dim.labels[choice[at]];
  const shown = value !== undefined;
  return {
    ...labels,
    estimate: shown ? value : null,
    low95: shown ? low : null,
    high95: shown ? high : null,
    suppressed: state === "suppressed",
  };
}
