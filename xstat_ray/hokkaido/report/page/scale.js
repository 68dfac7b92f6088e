// Colours. Sequential YlGnBu and diverging PuOr are ColorBrewer's, the categories Okabe and Ito's: all can be told apart
// by colour-blind readers, and the sequential one also in grey.

const SEQUENTIAL = ["#fbf3b0", "#d3eeb0", "#97d6b9", "#41b6c4", "#1f80b8", "#24429b", "#0b1b52"];
const DIVERGING = ["#b35806", "#f1a340", "#fdd09a", "#d4d6d9", "#c9c8e6", "#998ec3", "#542788"];
export const CATEGORIES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
export const UNKNOWN = "#e3e6ea";

const STEPS = [1, 2, 5];

// Classes for counts from `least` to `most`, with round limits that grow evenly on a logarithmic scale.
export function counts(least, most, text) {
  const limits = [];
  for (let power = 1; power <= Math.max(most, 1) * 10; power *= 10)
    for (const step of STEPS)
      if (step * power > Math.max(least, 1) && step * power <= most) limits.push(step * power);
  const keep = Math.ceil(limits.length / (SEQUENTIAL.length - 1)) || 1;
  return classes(
    limits.filter((_, i) => (limits.length - 1 - i) % keep === 0),
    SEQUENTIAL,
    text,
  );
}

// Classes for means from `least` to `most`, with round limits that are evenly spaced.
export function means(least, most, text) {
  const wanted = Math.max((most - least) / SEQUENTIAL.length, 1);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = power * ([...STEPS, 10].find((each) => each * power >= wanted) ?? 10);
  const limits = [];
  for (let limit = step * (Math.floor(least / step) + 1); limit <= most; limit += step)
    limits.push(limit);
  return classes(limits, SEQUENTIAL, text);
}

export const shares = (text) => classes([0.1, 0.25, 0.5, 0.75, 0.9], SEQUENTIAL, text);
export const changes = (text) => classes([-0.4, -0.2, -0.05, 0.05, 0.2, 0.4], DIVERGING, text);

// A scale: the colour of a value, and the legend. Limits belong to the class above them.
function classes(limits, colours, text) {
  const spread = (i) =>
    colours[
      limits.length ? Math.round((i * (colours.length - 1)) / limits.length) : colours.length >> 1
    ];
  return {
    colour: (value) => spread(limits.filter((limit) => value >= limit).length),
    legend: [...limits, null].map((limit, i) => ({
      colour: spread(i),
      text:
        i === 0
          ? text.below(limit)
          : limit === null
            ? text.above(limits[i - 1])
            : text.between(limits[i - 1], limit),
    })),
  };
}
