// Words and labels in the language of the reader.

import { airports, content, municipalities } from "report/data";
import { LABELS, NAMES, WORDS } from "report/words";

const GENDERS = { 1: "male", 2: "female" }; // ISO/IEC 5218

let language = content.language;

export const current = () => language;
export const use = (wanted) => {
  language = wanted;
};

// A text by its key, with {names} filled in.
export function t(key, values = {}) {
  const text = WORDS[key][language === "ja" ? 0 : 1];
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const whole = (value) => Math.round(value).toLocaleString(language);
export const percent = (share) => `${Math.round(100 * share)} %`;
export const points = (change) =>
  `${change > 0 ? "+" : change < 0 ? "−" : "±"}${Math.abs(Math.round(100 * change))}`;
// A share as people read it: noise can carry it a little below 0 or above 1.
export const portion = (share) => percent(Math.min(Math.max(share, 0), 1));

// The name of a row that has one in both languages.
export const named = (row) => (language === "ja" ? row.name_ja : row.name_en);

export function dimension(name) {
  const both = NAMES[name];
  return both ? both[language === "ja" ? 0 : 1] : name;
}

export function airport(code) {
  const row = airports.get(code);
  if (!row) return code;
  return language === "ja"
    ? row.name_ja.replace(/空港$/, "")
    : row.name_en.replace(/ Airport$/, "");
}

// A label of a dimension in plain words; unknown ones stay as they are.
export function label(name, text) {
  if (LABELS[text]) return LABELS[text][language === "ja" ? 0 : 1];
  const route = /^([A-Z]{3})-([A-Z]{3})$/.exec(text);
  if (route && airports.has(route[1])) return `${airport(route[1])} – ${airport(route[2])}`;
  if (airports.has(text))
    return name === "zone" ? t("near", { airport: airport(text) }) : airport(text);
  if (name === "gender" && GENDERS[text]) return label(name, GENDERS[text]);
  if (name === "age" && /^\d+$/.test(text)) return t("age_from", { age: text });
  if (name === "residence" && text === "elsewhere") return t("not_local");
  if (name === "residence" && municipalities.has(text)) return named(municipalities.get(text));
  const offset = /^(departure|arrival|\w+)([+-]\d+)(h|m|d)$/.exec(text);
  if (offset) return moment(offset[1], Number(offset[2]), offset[3]);
  if (/^\d{4}$/.test(text) && (name === "time" || name === "hour"))
    return `${Number(text.slice(0, 2))}:${text.slice(2)}`;
  if (/^\d{8}$/.test(text) && name === "date")
    return `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}`;
  return text;
}

function moment(anchor, amount, unit) {
  const event = LABELS[anchor] ? LABELS[anchor][language === "ja" ? 0 : 1] : anchor;
  if (unit === "m" && amount % 1440 === 0) [amount, unit] = [amount / 1440, "d"];
  const key = amount === 0 ? "at" : amount < 0 ? "before" : "after";
  return t(key, { event, amount: Math.abs(amount), unit: t(`unit_${unit}`) });
}

// Whether the labels of a dimension are moments in order, for which a slider is offered.
export function isTime({ name, labels }) {
  return (
    labels.length > 2 &&
    (name === "time" || name === "hour" || labels.every((text) => /^\w+[+-]\d+[hmd]$/.test(text)))
  );
}
