// Small charts as inline SVG. Every mark with an interval carries its error bar; what was not published is hatched.

const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// Columns over time. Items: {text, value, low, high, state, current}; `format` makes the labels of the axis.
export function profile(items, { title, format, hidden }) {
  const [width, height, left, bottom, top] = [340, 178, 46, 46, 12];
  const marks = ticks(Math.max(1, ...items.map((item) => item.high ?? item.value ?? 0)));
  const most = marks.at(-1);
  const y = (value) => top + (height - top - bottom) * (1 - Math.min(value, most) / most);
  const step = (width - left - 6) / items.length;
  const svg = node("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": title,
    class: "chart",
  });
  for (const mark of marks) {
    svg.append(node("line", { x1: left, x2: width, y1: y(mark), y2: y(mark), class: "grid" }));
    svg.append(node("text", { x: left - 5, y: y(mark) + 3.5, "text-anchor": "end" }, format(mark)));
  }
  const stride = Math.ceil(items.length / 12);
  items.forEach((item, i) => {
    const [x, middle] = [left + i * step, left + (i + 0.5) * step];
    if (item.current)
      svg.append(
        node("rect", { x, y: top, width: step, height: height - top - bottom, class: "now" }),
      );
    if (item.value === undefined) {
      const attributes = {
        x: x + step * 0.2,
        y: y(0) - 14,
        width: step * 0.6,
        height: 14,
        fill: "url(#hidden)",
      };
      svg.append(
        node("rect", attributes, node("title", {}, `${item.text}: ${hidden(item.state)}`)),
      );
    } else {
      const bar = {
        x: x + step * 0.2,
        y: y(item.value),
        width: step * 0.6,
        height: y(0) - y(item.value),
        class: item.state,
      };
      const range = `${item.text}: ${format(item.value)} (${format(item.low)} – ${format(item.high)})`;
      svg.append(
        node("rect", bar, node("title", {}, range)),
        errorBar(middle, y(item.low), y(item.high)),
      );
    }
    const short = node(
      "text",
      { x: middle, y: height - bottom + 12, "text-anchor": "middle" },
      item.short,
    );
    if (item.current) short.setAttribute("class", "strong");
    if (i % stride === 0) svg.append(short);
  });
  svg.append(...groups(items, left, step, height));
  return figure(title, svg);
}

// Zero and two to five round numbers above it, the last of them not below `most`.
function ticks(most) {
  const power = 10 ** Math.floor(Math.log10(most / 2));
  const step = [1, 2, 5, 10].map((digit) => digit * power).find((size) => most / size <= 5);
  return Array.from({ length: Math.ceil(most / step) + 1 }, (_, i) => i * step);
}

// Under the columns, what several in a row have in common.
function groups(items, left, step, height) {
  const marks = [];
  for (let start = 0; start < items.length; ) {
    let end = start;
    while (end < items.length && items[end].group === items[start].group) end++;
    const [from, to] = [left + start * step, left + end * step];
    if (items[start].group) {
      marks.push(
        node("line", { x1: from + 3, x2: to - 3, y1: height - 27, y2: height - 27, class: "axis" }),
      );
      marks.push(
        node(
          "text",
          { x: (from + to) / 2, y: height - 12, "text-anchor": "middle" },
          items[start].group,
        ),
      );
    }
    start = end;
  }
  return marks;
}

function errorBar(x, low, high) {
  const d = `M${x} ${low}V${high}M${x - 3} ${low}h6M${x - 3} ${high}h6`;
  return node("path", { d, class: "error" });
}

// A chart under its title.
function figure(title, svg) {
  const box = document.createElement("figure");
  box.append(Object.assign(document.createElement("figcaption"), { textContent: title }), svg);
  return box;
}

// As much of a text as fits into so many letters; Japanese ones are twice as wide.
function cut(text, room) {
  let width = 0;
  const end = [...text].findIndex((letter) => {
    width += letter > "\u2e7f" ? 2 : 1;
    return width > room;
  });
  return end < 0 ? text : `${[...text].slice(0, end - 1).join("")}…`;
}

// Horizontal bars with error bars. Items: {text, value, low, high, colour, state, note}; `most` is the end of the axis.
export function bars(items, { title, format, most, hidden, wide = false }) {
  const [width, line, left, right] = wide ? [720, 30, 190, 130] : [340, 27, 112, 62];
  const end = most ?? Math.max(1, ...items.map((item) => item.high ?? 0));
  const x = (value) => left + ((width - left - right) * Math.max(0, Math.min(value, end))) / end;
  const height = items.length * line + 6;
  const svg = node("svg", {
    viewBox: `0 0 ${width} ${height}`,
    role: "img",
    "aria-label": title,
    class: "chart",
  });
  items.forEach((item, i) => {
    const y = i * line + 4;
    svg.append(
      node(
        "text",
        { x: left - 8, y: y + line / 2 + 1, "text-anchor": "end", class: "name" },
        cut(item.text, (left - 8) / 6.2),
      ),
    );
    if (item.value === undefined || item.value === null) {
      svg.append(
        node("rect", { x: left, y: y + 3, width: 42, height: line - 12, fill: "url(#hidden)" }),
      );
      svg.append(node("text", { x: left + 50, y: y + line / 2 + 1 }, hidden(item.state)));
      return;
    }
    const box = {
      x: left,
      y: y + 3,
      width: Math.max(0.5, x(item.value) - left),
      height: line - 12,
      class: item.state ?? "value",
    };
    svg.append(node("rect", item.colour ? { ...box, class: "", fill: item.colour } : box));
    const [low, high, middle] = [x(item.low), x(item.high), y + (line - 6) / 2];
    svg.append(
      node("path", {
        d: `M${low} ${middle}H${high}M${low} ${middle - 3}v6M${high} ${middle - 3}v6`,
        class: "error",
      }),
    );
    svg.append(
      node(
        "text",
        { x: Math.max(high, x(item.value)) + 6, y: y + line / 2 + 1 },
        format(item.value),
      ),
    );
  });
  return figure(title, svg);
}
