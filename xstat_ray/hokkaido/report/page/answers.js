// The views of `xstat-ray needs`, by name.

import { rows } from "report/answer";

export { boarding } from "report/boarding";
export { needs } from "report/needs";
export { opening } from "report/opening";
export { watershed } from "report/watershed";

// Which of these views the page has data for.
export const available = () =>
  Object.keys({ opening: 1, watershed: 1, needs: 1, boarding: 1 }).filter((name) => rows[name]);
