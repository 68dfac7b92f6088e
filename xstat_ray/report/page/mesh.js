// A layer of the map that draws grid squares straight from arrays: 20,000 squares change colour within a frame.
// Squares are rectangles in the map's projection, so corners suffice. Patterns are drawn by the shader.

const VERTEX = `#version 300 es
uniform mat4 matrix;
in vec2 unit;
in vec4 box;
in vec4 fill;
out vec4 shade;
void main() {
  shade = fill;
  gl_Position = matrix * vec4(mix(box.xy, box.zw, unit), 0.0, 1.0);
}`;

// The alpha of a square says what it is: 1 a value, 0.6 an uncertain value (striped), 0.3 suppressed (hatched), 0 nothing.
const FRAGMENT = `#version 300 es
precision mediump float;
in vec4 shade;
out vec4 colour;
void main() {
  if (shade.a < 0.1) discard;
  vec2 at = gl_FragCoord.xy;
  vec3 paint = shade.rgb;
  if (shade.a < 0.45) paint = mod(at.x + at.y, 8.0) < 1.5 ? vec3(0.75, 0.77, 0.81) : vec3(0.93, 0.94, 0.95);
  else if (shade.a < 0.8) paint = mod(at.x - at.y, 8.0) < 3.0 ? vec3(1.0) : paint;
  colour = vec4(paint, 1.0) * 0.92;
}`;

export const MARKS = { value: 255, uncertain: 153, suppressed: 77, absent: 0 };

export class Squares {
  id = "squares";
  type = "custom";
  renderingMode = "2d";

  constructor() {
    this.count = 0;
    this.boxes = new Float32Array(0);
    this.fills = new Uint8Array(0);
  }

  onAdd(map, gl) {
    this.map = map;
    const program = gl.createProgram();
    for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    this.program = program;
    this.matrix = gl.getUniformLocation(program, "matrix");
    this.layout = gl.createVertexArray();
    gl.bindVertexArray(this.layout);
    this.attribute(gl, "unit", new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), 2, gl.FLOAT, 0);
    this.boxBuffer = this.attribute(gl, "box", this.boxes, 4, gl.FLOAT, 1);
    this.fillBuffer = this.attribute(gl, "fill", this.fills, 4, gl.UNSIGNED_BYTE, 1);
    gl.bindVertexArray(null);
    this.stale = true;
  }

  attribute(gl, name, values, size, type, divisor) {
    const buffer = gl.createBuffer();
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
    gl.vertexAttribDivisor(at, divisor);
    return buffer;
  }

  // Corners in degrees: west, south, east, north of every square.
  place(corners) {
    this.count = corners.length / 4;
    this.boxes = new Float32Array(corners.length);
    for (let i = 0; i < corners.length; i += 2) {
      const point = maplibregl.MercatorCoordinate.fromLngLat({ lng: corners[i], lat: corners[i + 1] });
      this.boxes[i] = point.x;
      this.boxes[i + 1] = point.y;
    }
    this.fills = new Uint8Array(4 * this.count);
    this.stale = true;
  }

  // Red, green, blue and mark of every square.
  paint(fills) {
    this.fills = fills;
    this.stale = true;
    this.map?.triggerRepaint();
  }

  render(gl, { defaultProjectionData }) {
    if (!this.count) return;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.layout);
    if (this.stale) {
      for (const [buffer, values] of [[this.boxBuffer, this.boxes], [this.fillBuffer, this.fills]]) {
        gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
        gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
      }
      this.stale = false;
    }
    gl.uniformMatrix4fv(this.matrix, false, defaultProjectionData.mainMatrix);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, this.count);
    gl.bindVertexArray(null);
  }
}

// Where squares lie, from their grid numbers: the arithmetic of xstat_ray/geo/mesh.py.
export function corners(level) {
  const result = new Float64Array(4 * level.count);
  for (let i = 0; i < level.count; i++) result.set(corner(level, i), 4 * i);
  return result;
}

// West, south, east, north of one square, in degrees.
export function corner(level, i) {
  const [row, column, parts] = [level.rows[i], level.columns[i], level.parts];
  return [
    (column + 100 * parts) / parts,
    row / (1.5 * parts),
    (column + 1 + 100 * parts) / parts,
    (row + 1) / (1.5 * parts),
  ];
}

// The square at a point, -1 where there is none.
export function squareAt(level, { lng, lat }) {
  level.index ??= new Map(Array.from(level.rows, (row, i) => [row * 100000 + level.columns[i], i]));
  const row = Math.floor(lat * 1.5 * level.parts);
  const column = Math.floor((lng - 100) * level.parts);
  return level.index.get(row * 100000 + column) ?? -1;
}

// The code of JIS X 0410, which has up to eleven digits.
export const codeOf = (level, i) => String(level.codes[i] * 1000 + level.tails[i]);
