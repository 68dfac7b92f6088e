// What the views of `xstat-ray needs` have in common: their tables, and a theme of municipalities of the east.

import { content, municipalities, rowsOf } from "report/data";
import { named, t } from "report/i18n";
import { finder } from "report/theme";

const tables = content.answers?.tables ?? {};
export const rows = Object.fromEntries(
  Object.entries(tables).map(([name, table]) => [name, rowsOf(table)]),
);

export function theme(id, places, parts) {
  const codes = places.map((row) => row.code);
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
    record: (i) => ({
      code: codes[i],
      name_ja: municipalities.get(codes[i]).name_ja,
      name_en: municipalities.get(codes[i]).name_en,
      ...clean(places[i]),
    }),
    file: id,
    ...parts(name),
  };
}

const clean = ({ code, ...rest }) => rest;
export const known = (value) => value !== null && value !== undefined;
export const column = (id, title, text, sort, numeric = true) => ({
  id,
  title,
  text,
  sort,
  numeric,
});
export const nameColumn = (name) => column("name", t("name"), name, name, false);
