// The data of the page: compressed whole numbers, unpacked when a release is first shown.

export const SUPPRESSED = -1;
export const ABSENT = -2;

export const content = JSON.parse(document.getElementById("data").textContent);

const ARRAYS = { 8: Int8Array, 16: Int16Array, 32: Int32Array };

// An array of whole numbers; see xstat_ray/hokkaido/report/packing.py for the form.
async function unpack(packed) {
  if ("constant" in packed) return new Int32Array(packed.length).fill(packed.constant);
  const bytes = Uint8Array.from(atob(packed.zlib), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const size = packed.bits / 8;
  if (size === 1) return new Int8Array(planes.buffer);
  const whole = new Uint8Array(planes.length);
  for (let plane = 0; plane < size; plane++) {
    const start = plane * packed.length;
    for (let i = 0; i < packed.length; i++) whole[i * size + plane] = planes[start + i];
  }
  return new ARRAYS[packed.bits](whole.buffer);
}

// Replaces the packed arrays of a release by typed ones, once.
export async function ready(layer) {
  layer.ready ??= Promise.all(layer.levels.map(unpackLevel));
  await layer.ready;
}

async function unpackLevel(level) {
  const names = ["estimate", "below", "width"];
  if (level.kind === "mesh") names.push("rows", "columns", "codes", "tails", "municipality");
  const arrays = await Promise.all(names.map((name) => unpack(level[name])));
  for (const [i, name] of names.entries()) level[name] = arrays[i];
  level.count = level.kind === "mesh" ? level.rows.length : level.places.length;
}

// Number of values of one place.
export function slotsOf(layer) {
  return layer.dimensions.reduce((product, dimension) => product * dimension.labels.length, 1);
}

// Position of a choice of labels, one number a dimension, among the slots.
export function slotOf(layer, choice) {
  return layer.dimensions.reduce(
    (slot, dimension, i) => slot * dimension.labels.length + choice[i],
    0,
  );
}

// The choice that leads to a slot.
export function choiceAt(layer, slot) {
  const choice = [];
  for (const { labels } of layer.dimensions.toReversed()) {
    choice.unshift(slot % labels.length);
    slot = Math.floor(slot / labels.length);
  }
  return choice;
}

// What was published of one place and slot. Intervals are cut at zero: there are no fewer than no people.
export function valueAt(layer, level, place, slot) {
  const at = place * slotsOf(layer) + slot;
  const value = level.estimate[at];
  if (value < 0) return { state: value === SUPPRESSED ? "suppressed" : "absent" };
  const low = value - level.below[at];
  const high = low + level.width[at];
  return {
    state: low > 0 || high === low ? "value" : "uncertain",
    value,
    low: Math.max(0, low),
    high: Math.max(0, high),
  };
}

// The rows of a small table given column by column.
export function rowsOf(table) {
  const names = Object.keys(table);
  return table[names[0]].map((_, i) =>
    Object.fromEntries(names.map((name) => [name, table[name][i]])),
  );
}

export const municipalities = new Map(rowsOf(content.municipalities).map((row) => [row.code, row]));
export const airports = new Map(rowsOf(content.airports).map((row) => [row.iata, row]));
