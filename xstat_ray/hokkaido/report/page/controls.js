// What the reader chooses with: views, studies, labels, the slider of time.

import { content } from "report/data";
import { current, dimension, isTime, label, t } from "report/i18n";
import { choiceOf, titleOf } from "report/studies";

const STEP = 1200; // milliseconds a moment is shown while playing

// Buttons for the views that there is data for. They are made once for each language, so that the one in use keeps the focus.
export function views(container, names, state) {
  if (container.lang !== current()) makeViews(container, names, state);
  for (const button of container.querySelectorAll("button")) {
    if (button.dataset.view === state.values.view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
  }
}

function makeViews(container, names, state) {
  container.lang = current();
  const buttons = names.map((name) => {
    const button = element("button", { type: "button", textContent: t(`view_${name}`) });
    button.dataset.view = name;
    button.addEventListener("click", () =>
      state.set({ view: name, place: -1, sort: null, playing: false }),
    );
    return button;
  });
  const down = element("a", { href: "#reading", textContent: t("view_reading") });
  container.replaceChildren(...buttons, down);
}

export function draw(container, state, changed) {
  const { view, side } = state.values;
  if (view === "studies" && changed.size === 1 && changed.has("choices")) return move(state.values);
  if (view === "studies") container.replaceChildren(...studyControls(state));
  else if (view === "opening") {
    const options = ["change", "before", "after"].map((value) => [
      value,
      t(value === "change" ? "change" : `${value}_opening`),
    ]);
    container.replaceChildren(
      radios("side", t("show"), options, side, (value) => state.set({ side: value })),
    );
  } else container.replaceChildren();
  return undefined;
}

// Shows other labels in the controls that are there: a slider stays under the reader's hand.
function move(values) {
  const layer = content.layers[values.layer];
  choiceOf(values, layer).forEach((chosen, axis) => {
    const { name, labels } = layer.dimensions[axis];
    const control = document.getElementById(`dimension-${name}`);
    control.value = chosen;
    if (control.type === "range") say(control, label(name, labels[chosen]));
  });
}

function say(range, text) {
  range.setAttribute("aria-valuetext", text);
  range.closest(".control").querySelector(".moment").textContent = text;
}

function studyControls(state) {
  const { layer: number, level } = state.values;
  const layer = content.layers[number];
  const choice = choiceOf(state.values, layer);
  const parts = [];
  if (content.layers.length > 1) {
    const options = content.layers.map((study) => titleOf(study));
    parts.push(
      select("study", t("study"), options, number, (i) =>
        state.set({ layer: i, level: 0, place: -1, sort: null, playing: false }),
      ),
    );
  }
  if (layer.levels.length > 1) {
    const options = layer.levels.map((each) =>
      dimension(each.name === "cell" ? layer.place : each.name),
    );
    parts.push(
      select("level", t("level"), options, level, (i) => state.set({ level: i, place: -1 })),
    );
  }
  layer.dimensions.forEach((dim, axis) => {
    const texts = dim.labels.map((text) => label(dim.name, text));
    const change = (i) =>
      state.set({
        choices: {
          ...state.values.choices,
          [layer.study]: choiceOf(state.values, layer).with(axis, i),
        },
      });
    const draw = isTime(dim) ? slider : select;
    parts.push(
      draw(`dimension-${dim.name}`, dimension(dim.name), texts, choice[axis], change, state),
    );
  });
  return parts;
}

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function select(id, title, options, chosen, change) {
  const box = element("p", { className: "control" });
  const list = element("select", { id });
  for (const [i, text] of options.entries())
    list.append(element("option", { value: i, textContent: text, selected: i === chosen }));
  list.addEventListener("change", () => change(Number(list.value)));
  box.append(element("label", { htmlFor: id, textContent: title }), list);
  return box;
}

function radios(name, title, options, chosen, change) {
  const group = element("fieldset", { className: "control" });
  group.append(element("legend", { textContent: title }));
  for (const [value, text] of options) {
    const item = element("label", { className: "radio" });
    const input = element("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => change(value));
    item.append(input, text);
    group.append(item);
  }
  return group;
}

function slider(id, title, options, chosen, change, state) {
  const box = element("div", { className: "control" });
  const range = element("input", {
    type: "range",
    id,
    min: 0,
    max: options.length - 1,
    step: 1,
    value: chosen,
  });
  range.addEventListener("input", () => change(Number(range.value)));
  const button = element("button", { type: "button", id: `${id}-play`, className: "play" });
  button.textContent = t(state.values.playing ? "pause" : "play");
  button.addEventListener("click", () =>
    state.values.playing ? stop(state) : play(state, () => document.getElementById(id), change),
  );
  const line = element("div", { className: "line" });
  line.append(range, button);
  const value = element("output", { htmlFor: id, className: "moment" });
  box.append(element("label", { htmlFor: id, textContent: title }), value, line);
  say(range, options[chosen]);
  return box;
}

// One moment after the other, from the first again after the last, until stopped.
let timer = 0;

function play(state, range, change) {
  state.set({ playing: true });
  timer = setInterval(() => {
    const now = range();
    if (!now || !state.values.playing) return stop(state);
    return change((Number(now.value) + 1) % (Number(now.max) + 1));
  }, STEP);
}

function stop(state) {
  clearInterval(timer);
  state.set({ playing: false });
}

// Colours and patterns, as the map uses them; drawn again only where they are others.
export function legend(container, theme) {
  const drawn = JSON.stringify([
    current(),
    theme.legend,
    theme.routes.some((route) => route.length === 2),
  ]);
  if (container.dataset.drawn === drawn) return;
  container.dataset.drawn = drawn;
  const list = element("ul", {});
  for (const { colour, text } of theme.legend.classes)
    list.append(entry({ background: colour }, "", text));
  for (const mark of theme.legend.marks)
    list.append(entry({}, mark.replace("_share", ""), t(`mark_${mark}`)));
  if (theme.routes.some((route) => route.length === 2))
    list.append(entry({}, "flight", t("flight_line")));
  container.replaceChildren(
    element("h2", {
      textContent: `${t("legend")}：${theme.legend.title}`.replace(
        "：",
        document.documentElement.lang === "ja" ? "：" : ": ",
      ),
    }),
    list,
  );
}

function entry(style, mark, text) {
  const item = element("li", {});
  const swatch = element("span", { className: `swatch ${mark}` });
  Object.assign(swatch.style, style);
  swatch.setAttribute("aria-hidden", "true");
  item.append(swatch, text);
  return item;
}
