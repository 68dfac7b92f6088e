// For paper: the map becomes a picture while the page is printed, as browsers print a picture whole and a canvas not.

import { picture } from "report/map";

export function prepare(image, area) {
  addEventListener("beforeprint", () => {
    if (area.hidden || !area.querySelector("canvas")) return;
    image.src = picture();
    image.hidden = false;
  });
  addEventListener("afterprint", () => {
    image.hidden = true;
  });
}
