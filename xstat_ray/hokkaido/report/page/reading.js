// How to read the figures, and where they come from.

import { content } from "report/data";
import { current, dimension, percent, t } from "report/i18n";
import { titleOf } from "report/studies";

export function draw(container) {
  const parts = [Object.assign(document.createElement("h2"), { textContent: t("reading") })];
  const texts = document.createElement("div");
  texts.className = "texts";
  const crossed = content.layers.some((layer) => !layer.facts.expanded);
  for (const key of ["noise", "interval", "blank", ...(crossed ? ["who"] : [])]) {
    const block = document.createElement("div");
    block.append(
      Object.assign(document.createElement("h3"), { textContent: t(`read_${key}_head`) }),
      Object.assign(document.createElement("p"), { textContent: t(`read_${key}`) }),
    );
    texts.append(block);
  }
  parts.push(texts);
  if (content.layers.length)
    parts.push(
      Object.assign(document.createElement("h3"), { textContent: t("source_head") }),
      sources(),
    );
  const share = content.answers?.facts?.assumptions?.market_share;
  if (share)
    parts.push(
      Object.assign(document.createElement("p"), {
        textContent: t("assumptions", { share: percent(share) }),
      }),
    );
  container.replaceChildren(...parts);
}

function sources() {
  const box = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", t("source_head"));
  const table = document.createElement("table");
  const names = [
    "study",
    "period",
    "budget",
    "insiders",
    "error",
    "threshold",
    "release",
    "manifest",
    "software",
    "check",
  ];
  const head = table.createTHead().insertRow();
  for (const name of names) {
    head.append(
      Object.assign(document.createElement("th"), {
        scope: "col",
        textContent: t(`source_${name}`),
      }),
    );
  }
  const body = table.createTBody();
  for (const layer of content.layers) {
    const row = body.insertRow();
    for (const text of provenance(layer)) row.insertCell().textContent = text;
  }
  box.append(table);
  const wrapper = document.createElement("div");
  wrapper.append(
    box,
    Object.assign(document.createElement("p"), { textContent: t("source_compare") }),
  );
  return wrapper;
}

const RAISED = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };

// A ratio such as 1/1000000 as people write it: 10⁻⁶.
function decimal(text) {
  const [above, below = 1] = String(text ?? "")
    .split("/")
    .map(Number);
  const value = above / below;
  if (!value || value >= 0.001) return String(Number(value.toPrecision(3)));
  const [digits, power] = value.toExponential(2).split("e");
  const raised = `10${[...power].map((letter) => RAISED[letter]).join("")}`;
  return Number(digits) === 1 ? raised : `${Number(digits)} × ${raised}`;
}

// Rounded up to three digits after the point; ratios stay.
function above(epsilon) {
  return epsilon.includes("/") ? epsilon : String(Math.ceil(Number(epsilon) * 1000) / 1000);
}

// What the roles learn of a person: of the release each what the aggregator does, some of several parties of a side
// less, and the aggregator also what it saw before.
function towards(insiders) {
  if (!insiders?.aggregator) return "–";
  const held = (name, { epsilon, delta }) =>
    t(name, { epsilon: above(epsilon), delta: decimal(delta) });
  const texts = [held("insiders_each", insiders.aggregator)];
  if (insiders.aggregator_with_view)
    texts.push(held("insiders_view", insiders.aggregator_with_view));
  return texts.join(current() === "ja" ? "、" : ", ");
}

function provenance(layer) {
  const facts = layer.facts;
  const errors = Object.entries(facts.stderr ?? {}).map(
    ([name, value]) =>
      `${dimension(name === "cell" ? layer.place : name)} ±${Number(value).toLocaleString(current(), { maximumFractionDigits: 1 })}`,
  );
  const budget = layer.noise_free
    ? t("budget_off")
    : t("budget", {
        epsilon: facts.epsilon,
        delta: decimal(facts.delta),
        noise: t(`noise_${facts.noise}`),
      });
  return [
    titleOf(layer),
    facts.period ? t("period", facts.period) : "–",
    budget,
    towards(facts.insiders),
    errors.join(current() === "ja" ? "、" : ", "),
    t("threshold", { n: facts.suppress_below }),
    facts.release ?? "",
    facts.manifest_sha256,
    `xstat-ray ${facts.software?.version ?? ""} ${(facts.software?.measurement ?? "").slice(0, 12)}`,
    t(`check_${facts.verification}`),
  ];
}
