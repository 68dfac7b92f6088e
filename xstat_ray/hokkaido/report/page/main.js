// Puts the page together: a change of the state makes a theme, and the theme is drawn.

import * as answers from "report/answers";
import * as controls from "report/controls";
import { content, ready } from "report/data";
import * as download from "report/download";
import * as i18n from "report/i18n";
import * as map from "report/map";
import * as panel from "report/panel";
import * as print from "report/print";
import * as reading from "report/reading";
import { makeState } from "report/state";
import { studies } from "report/studies";
import * as table from "report/table";

const at = (id) => document.getElementById(id);
const views = [...(content.layers.length ? ["studies"] : []), ...answers.available()];
const state = makeState({
  language: content.language,
  view: views[0],
  layer: 0,
  level: 0,
  choices: {},
  side: "change",
  place: -1,
  sort: null,
  descending: false,
  playing: false,
});
let theme = null;
let drawn = 0;

async function makeTheme() {
  if (state.values.view !== "studies") return answers[state.values.view](state.values);
  await ready(content.layers[state.values.layer]);
  return studies(state.values);
}

async function redraw(changed) {
  const turn = ++drawn;
  if (changed.has("language")) words();
  const only = changed.size === 1 ? [...changed][0] : "";
  if (only !== "place" || !theme) {
    const next = await makeTheme();
    if (turn !== drawn) return;
    theme = next;
    if (!changed.has("sort") && !changed.has("descending") && state.values.sort === null)
      state.values.descending = theme.descending;
    drawChoice(changed);
    drawStage();
    tellPainted(turn);
    // The map answers at once; while a slider is moved on, table and charts wait for the moment at which it rests.
    await frame();
    if (turn !== drawn) return;
    drawTable();
  }
  drawPlace();
  if (only === "place") tellPainted(turn);
  document.documentElement.dataset.drawn = String(turn);
}

// When the frame that is being made has been handed over.
const frame = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));

// For whoever waits: the number of the last change that the map shows; data-drawn is that of the last that all else shows.
async function tellPainted(turn) {
  await map.painted();
  if (turn === drawn) document.documentElement.dataset.painted = String(turn);
}

function words() {
  i18n.use(state.values.language);
  document.documentElement.lang = state.values.language;
  document.title = i18n.t("title");
  for (const element of document.querySelectorAll("[data-words]"))
    element.textContent = i18n.t(element.dataset.words);
  for (const element of document.querySelectorAll("[data-label]"))
    element.setAttribute("aria-label", i18n.t(element.dataset.label));
  at("language").textContent = i18n.t("other_language");
  at("language").lang = state.values.language === "ja" ? "en" : "ja";
  for (const name of ["csv", "geojson"]) at(name).textContent = i18n.t(name);
  at("stamp").hidden = !content.noise_free;
  at("stamp").textContent = content.noise_free ? i18n.t("noise_off") : "";
  reading.draw(at("reading"));
  map.language();
}

function drawChoice(changed) {
  controls.views(at("views"), views, state);
  const focused = document.activeElement?.id;
  controls.draw(at("controls"), state, changed);
  if (focused && at("controls").contains(at(focused)) && !changed.has("view"))
    at(focused).focus({ preventScroll: true });
  controls.legend(at("legend"), theme);
  at("subtitle").textContent = theme.subtitle;
}

function drawStage() {
  const flat = theme.kind === "none";
  at("map").hidden = flat;
  at("bars").hidden = !flat;
  at("credit").hidden = flat;
  if (!flat) map.paint(theme);
}

function drawTable() {
  const { sort, descending, place } = state.values;
  const { shown, printed } = table.draw(at("table"), theme, {
    sort,
    descending,
    chosen: place,
    onSort: (id, down) => state.set({ sort: id, descending: down }),
    onChoose: (i) => state.set({ place: i }),
  });
  const total = i18n.whole(theme.count);
  const rows = i18n.t(shown < theme.count ? "rows_part" : "rows_all", { total, shown });
  at("list-title").textContent = theme.listTitle;
  at("list-note").textContent = `${theme.note} ${rows}`.trim();
  at("list-paper").textContent =
    `${theme.note} ${printed < theme.count ? i18n.t("rows_paper", { total, shown: printed }) : ""}`.trim();
  at("geojson").hidden = theme.kind === "none";
}

function drawPlace() {
  const { place } = state.values;
  if (theme.kind === "none") at("bars").replaceChildren(...[theme.bars(place)].flat());
  panel.places(at("place"), theme, place);
  panel.draw({ facts: at("facts"), details: at("details") }, theme, place);
  table.mark(at("table"), place);
  map.choose(theme.kind === "none" ? -1 : place);
}

async function begin() {
  words();
  at("language").addEventListener("click", () =>
    state.set({ language: state.values.language === "ja" ? "en" : "ja" }),
  );
  at("print").addEventListener("click", () => window.print());
  at("csv").addEventListener("click", () => download.csv(theme));
  at("geojson").addEventListener("click", () => download.geojson(theme));
  at("place").addEventListener("change", () => state.set({ place: Number(at("place").value) }));
  print.prepare(at("printed"), at("map"));
  at("nomap").hidden = await map.start(at("map"), {
    pick: (place) => state.set({ place }),
    hover: (place, point) => theme && panel.tip(at("tip"), theme, place, point),
  });
  state.listen((_, changed) => redraw(changed));
  await redraw(new Set(["view"]));
  await map.painted();
  document.documentElement.dataset.ready = "true";
}

if (views.length) begin();
