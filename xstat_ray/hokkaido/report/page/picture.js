// The map as a picture for paper.

const MARK = [
  [0, -6],
  [6, 0],
  [0, 6],
  [-6, 0],
];

// What the canvas of `map` shows, with the names of `markers`, which are elements outside it.
export function pictureOf(map, markers) {
  const canvas = map.getCanvas();
  const copy = Object.assign(document.createElement("canvas"), {
    width: canvas.width,
    height: canvas.height,
  });
  const pen = copy.getContext("2d");
  pen.drawImage(canvas, 0, 0);
  const ratio = canvas.width / canvas.clientWidth;
  pen.scale(ratio, ratio);
  Object.assign(pen, { textAlign: "center", lineWidth: 3, strokeStyle: "#fff" });
  for (const marker of markers) {
    const element = marker.getElement();
    const { x, y } = map.project(marker.getLngLat());
    const port = element.classList.contains("airport");
    if (port && !element.classList.contains("busy")) continue;
    pen.fillStyle = port ? "#7a1109" : "#17212e";
    pen.font = `${port ? "bold " : ""}11px sans-serif`;
    pen.beginPath();
    if (port) for (const [dx, dy] of MARK) pen.lineTo(x + dx, y + dy);
    else pen.arc(x, y, 2.5, 0, 2 * Math.PI);
    pen.fill();
    pen.strokeText(element.textContent, x, y + (port ? -9 : 14));
    pen.fillText(element.textContent, x, y + (port ? -9 : 14));
  }
  return copy.toDataURL("image/png");
}
