// Files made in the page from what it shows: CSV that spreadsheets open, and GeoJSON.

import { content } from "report/data";
import { t } from "report/i18n";
import { corner } from "report/mesh";

const quote = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

// The shown selection as CSV; the mark in front makes Excel read Japanese.
export function csv(theme) {
  const records = Array.from({ length: theme.count }, (_, i) => theme.record(i));
  const names = Object.keys(records[0] ?? {});
  const lines = [names, ...records.map((record) => names.map((name) => record[name] ?? ""))];
  const stamp = content.noise_free
    ? "# WARNING: NOISE OFF: exact counts, not differentially private\r\n"
    : "";
  const text = lines
    .map((line) => line.map((value) => quote(String(value))).join(","))
    .join("\r\n");
  save(`\ufeff${stamp}${text}\r\n`, "text/csv", `${theme.file}.csv`);
}

export function geojson(theme) {
  const features = [];
  for (let i = 0; i < theme.count; i++) {
    const geometry = geometryOf(theme, i);
    if (geometry) features.push({ type: "Feature", properties: theme.record(i), geometry });
  }
  const stamp = content.noise_free ? { warning: t("noise_off") } : {};
  const text = JSON.stringify({ type: "FeatureCollection", ...stamp, features });
  save(text, "application/geo+json", `${theme.file}.geojson`);
}

// A polygon, or several for an area of many municipalities.
function geometryOf(theme, place) {
  if (theme.kind === "mesh") {
    const [west, south, east, north] = corner(theme.level, place);
    return {
      type: "Polygon",
      coordinates: [
        [
          [west, south],
          [east, south],
          [east, north],
          [west, north],
          [west, south],
        ],
      ],
    };
  }
  const features = content.borders.features.filter(
    ({ properties: at }) => theme.find(at.code, at.subprefecture) === place,
  );
  if (features.length === 1) return features[0].geometry;
  const parts = features.flatMap(({ geometry: g }) =>
    g.type === "Polygon" ? [g.coordinates] : g.coordinates,
  );
  return parts.length ? { type: "MultiPolygon", coordinates: parts } : null;
}

function save(text, type, name) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}
