// The map: coastline, borders, airports and flights, and the areas or squares of the chosen theme on top.

import { airports, content, municipalities } from "report/data";
import { airport, current, named, t } from "report/i18n";
import { corner, corners, MARKS, Squares, squareAt } from "report/mesh";
import { pictureOf } from "report/picture";
import { UNKNOWN } from "report/scale";

const HOKKAIDO = [139.4, 41.3, 146.0, 45.6];
const EAST = [141.0, 41.9, 145.9, 44.5];
const CITIES = [
  "01100",
  "01206",
  "01207",
  "01208",
  "01211",
  "01219",
  "01223",
  "01692",
  "01204",
  "01202",
];
const COLOURS = {
  sea: "#dfe8ef",
  land: "#fbfaf6",
  coast: "#7d8a97",
  border: "#b4bcc5",
  chosen: "#111827",
};

const FILLS = ["values", "uncertain", "suppressed"];

const squares = new Squares();
let map = null;
let theme = null;
let shown = null;
let listeners = { pick: () => {}, hover: () => {} };

// Draws the empty map; false where the browser cannot.
export async function start(container, handlers) {
  listeners = handlers;
  try {
    map = new maplibregl.Map({
      container,
      style: style(),
      bounds: HOKKAIDO,
      fitBoundsOptions: { padding: 8 },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      maxZoom: 13,
      minZoom: 4,
      fadeDuration: 0,
      canvasContextAttributes: { preserveDrawingBuffer: true },
      locale: { "Map.Title": t("map") },
    });
  } catch {
    map = null;
    return false;
  }
  map.touchZoomRotate.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  await map.once("load");
  for (const [name, draw] of Object.entries({ hatch: hatch(false), stripes: hatch(true) }))
    map.addImage(name, draw, { pixelRatio: 2 });
  addAreas();
  map.on("click", (event) => listeners.pick(placeAt(event)));
  map.on("mousemove", (event) => listeners.hover(placeAt(event), event.point));
  map.on("mouseout", () => listeners.hover(-1));
  words();
  return true;
}

function style() {
  return {
    version: 8,
    sources: {
      coast: { type: "geojson", data: content.coast },
      areas: { type: "geojson", data: content.borders, promoteId: "code", tolerance: 0.1 },
      flights: { type: "geojson", data: collection([]) },
      chosen: { type: "geojson", data: collection([]) },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": COLOURS.sea } },
      { id: "land", type: "fill", source: "coast", paint: { "fill-color": COLOURS.land } },
    ],
  };
}

const collection = (features) => ({ type: "FeatureCollection", features });
const state = (name, otherwise) => ["coalesce", ["feature-state", name], otherwise];
const when = (name) => ["case", ["==", state("state", "absent"), name], 1, 0];

function addAreas() {
  const of = (source, id, type, paint) => map.addLayer({ id, type, source, paint });
  of("areas", "values", "fill", {
    "fill-color": state("colour", COLOURS.land),
    "fill-opacity": [
      "case",
      ["in", state("state", "absent"), ["literal", ["value", "uncertain"]]],
      0.94,
      0,
    ],
  });
  of("areas", "uncertain", "fill", {
    "fill-pattern": "stripes",
    "fill-opacity": when("uncertain"),
  });
  of("areas", "suppressed", "fill", {
    "fill-pattern": "hatch",
    "fill-opacity": when("suppressed"),
  });
  map.addLayer(squares);
  of("areas", "borders", "line", { "line-color": COLOURS.border, "line-width": 0.7 });
  of("coast", "shore", "line", { "line-color": COLOURS.coast, "line-width": 0.9 });
  of("flights", "flight-halo", "line", {
    "line-color": "#ffffff",
    "line-width": 5,
    "line-opacity": 0.8,
  });
  of("flights", "flight", "line", {
    "line-color": "#b3261e",
    "line-width": 2.2,
    "line-dasharray": [3, 1.5],
  });
  of("chosen", "chosen-halo", "line", { "line-color": "#ffffff", "line-width": 5 });
  of("chosen", "chosen", "line", { "line-color": COLOURS.chosen, "line-width": 2.5 });
}

// A tile with diagonal lines: white ones over a colour, or grey ones on grey.
function hatch(white) {
  const size = 16;
  const data = new Uint8Array(4 * size * size);
  for (let y = 0; y < size; y++)
    for (let x = 0; x < size; x++) {
      const line = white ? (x + y) % size < 6 : (x - y + size) % size < 3;
      const pixel = white
        ? line
          ? [255, 255, 255, 255]
          : [0, 0, 0, 0]
        : line
          ? [190, 197, 206, 255]
          : [236, 239, 242, 255];
      data.set(pixel, 4 * (y * size + x));
    }
  return { width: size, height: size, data };
}

// Names of airports and towns, in the language of the page; they are elements, as text on the map would need font files.
let markers = [];
export function words() {
  if (!map) return;
  for (const shownMarker of markers) shownMarker.remove();
  const towns = CITIES.map((code) => municipalities.get(code)).filter(Boolean);
  const ports = [...airports.values()].filter(
    ({ lat, lon }) => lat > HOKKAIDO[1] && lon > HOKKAIDO[0],
  );
  markers = [
    ...towns.map((town) => marker(town, "town", named(town).replace(/[市町村]$/, ""), "top")),
    ...ports.map((row) => marker(row, "airport", airport(row.iata), "bottom", row.iata)),
  ];
  map.getCanvas().setAttribute("aria-label", t("map_help"));
  busy();
}

function marker({ lat, lon }, kind, text, anchor, code = "") {
  const element = document.createElement("div");
  element.className = `mark ${kind}`;
  element.textContent = text;
  element.dataset.code = code;
  element.setAttribute("aria-hidden", "true");
  const offset = [0, anchor === "top" ? -3 : 5];
  return new maplibregl.Marker({ element, anchor, offset }).setLngLat([lon, lat]).addTo(map);
}

// Names the airports that the theme speaks of; the others are marks only.
function busy() {
  const codes = theme?.routes.flat() ?? [];
  for (const element of markers.map((shownMarker) => shownMarker.getElement()))
    element.classList.toggle("busy", codes.includes(element.dataset.code));
}

// Paints a theme: every place in the colour and pattern of its value.
export function paint(next) {
  if (!map) return;
  const previous = theme;
  theme = next;
  // What is hidden costs nothing; what is transparent is drawn all the same.
  for (const layer of FILLS)
    map.setLayoutProperty(layer, "visibility", theme.kind === "mesh" ? "none" : "visible");
  if (theme.kind === "mesh") paintSquares();
  else paintAreas();
  if (previous?.extent !== theme.extent) look(theme.extent);
  flights(theme.routes);
  busy();
}

function paintAreas() {
  if (squares.count) {
    squares.place(new Float64Array(0));
    shown = null;
    map.triggerRepaint();
  }
  for (const [code, row] of municipalities) {
    const place = theme.find(code, row.subprefecture);
    const cell = place < 0 ? { state: "absent" } : theme.cell(place);
    const colour =
      cell.state === "value" || cell.state === "uncertain" ? theme.colour(cell, place) : UNKNOWN;
    map.setFeatureState({ source: "areas", id: code }, { state: cell.state, colour });
  }
}

function paintSquares() {
  if (shown !== theme.level) {
    shown = theme.level;
    squares.place(corners(shown));
  }
  const fills = new Uint8Array(4 * squares.count);
  const parsed = new Map();
  for (let i = 0; i < squares.count; i++) {
    const cell = theme.cell(i);
    if (cell.state === "absent") continue;
    fills[4 * i + 3] = MARKS[cell.state];
    if (cell.state === "suppressed") continue;
    const colour = theme.colour(cell, i);
    if (!parsed.has(colour))
      parsed.set(
        colour,
        [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)),
      );
    fills.set(parsed.get(colour), 4 * i);
  }
  squares.paint(fills);
}

function flights(routes) {
  const lines = routes
    .filter((route) => route.length === 2)
    .map((pair) => pair.map((code) => airports.get(code)))
    .filter((pair) => pair.every(Boolean));
  fill(
    "flights",
    lines.map(([from, to]) => arc(from, to)),
    String(routes),
  );
}

// Gives a source its features, unless it has them already: `key` tells them apart.
const filled = {};
function fill(source, features, key) {
  if (filled[source] !== key) map.getSource(source).setData(collection(features));
  filled[source] = key;
}

// A gently bent line, as one draws a flight.
function arc(from, to) {
  const [dx, dy] = [to.lon - from.lon, to.lat - from.lat];
  const coordinates = Array.from({ length: 33 }, (_, i) => {
    const [s, bend] = [i / 32, 0.12 * Math.sin((Math.PI * i) / 32)];
    return [from.lon + s * dx - bend * dy * 0.7, from.lat + s * dy + bend * Math.abs(dx) * 0.7];
  });
  return { type: "Feature", properties: {}, geometry: { type: "LineString", coordinates } };
}

// Outlines the chosen place.
export function choose(place) {
  if (!map || !theme) return;
  fill(
    "chosen",
    place < 0 ? [] : outline(place),
    place < 0 ? "" : `${theme.id} ${theme.ground} ${place}`,
  );
}

function outline(place) {
  if (theme.kind === "mesh") {
    const [west, south, east, north] = corner(theme.level, place);
    const ring = [
      [west, south],
      [east, south],
      [east, north],
      [west, north],
      [west, south],
    ];
    return [
      { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [ring] } },
    ];
  }
  return content.borders.features.filter(
    ({ properties }) => theme.find(properties.code, properties.subprefecture) === place,
  );
}

function placeAt({ point, lngLat }) {
  if (!theme) return -1;
  if (theme.kind === "mesh") return squareAt(theme.level, lngLat);
  const [found] = map.queryRenderedFeatures(point, { layers: ["values"] });
  return found ? theme.find(found.properties.code, found.properties.subprefecture) : -1;
}

// Extents: "east", "hokkaido", or a level of squares.
function look(extent) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const named = extent === "east" ? EAST : HOKKAIDO;
  const bounds = typeof extent === "string" ? named : around(extent);
  map.resize(); // it may have been hidden, and without a size
  map.fitBounds(bounds, { padding: 10, animate: !still, duration: 500 });
}

function around(level) {
  const result = [Infinity, Infinity, -Infinity, -Infinity];
  const edges = corners(level);
  for (let i = 0; i < edges.length; i++)
    result[i % 4] = (i % 4 < 2 ? Math.min : Math.max)(result[i % 4], edges[i]);
  return result;
}

// The map as a picture, with its names, for paper.
export const picture = () => pictureOf(map, markers);

// Resolved when what was last asked for is on the screen: nothing is left to draw, and the frame was handed over. At once
// where there is no map to be seen.
export async function painted() {
  if (!map || map.getContainer().hidden) return;
  const idle = map.once("idle");
  map.triggerRepaint();
  await idle;
  await new Promise(requestAnimationFrame);
}

// Language of the map library's buttons.
export function language() {
  if (!map) return;
  words();
  map.getCanvas().setAttribute("lang", current());
}
