// What the reader has chosen. Everything on the page is drawn from it; a change redraws once, in the next frame.

export function makeState(initial) {
  const values = { ...initial };
  const listeners = [];
  let waiting = null;

  function tell() {
    const changed = waiting;
    waiting = null;
    for (const listener of listeners) listener(values, changed);
  }

  return {
    values,
    listen: (listener) => listeners.push(listener),
    set(changes) {
      const changed = Object.keys(changes).filter((key) => values[key] !== changes[key]);
      if (!changed.length) return;
      Object.assign(values, changes);
      if (waiting === null) {
        waiting = new Set();
        queueMicrotask(tell);
      }
      for (const key of changed) waiting.add(key);
    },
  };
}
