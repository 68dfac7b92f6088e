// A layer of the map that draws grid squares straight from arrays: 20,000 squares change colour within a frame.
// Squares are rectangles in the map's projection, so corners suffice. Patterns are drawn by the shader. All squares are
// triangles of one call: drawn as instances they take a software renderer, and some graphics cards, ten times as long.

const VERTEX = `#version 300 es
uniform mat4 matrix;
in vec2 point;
in vec4 fill;
flat out vec4 shade;
void main() {
  shade = fill;
  gl_Position = matrix * vec4(point, 0.0, 1.0);
}`;

// The alpha of a square says what it is: 1 a value, 0.6 an uncertain value (striped), 0.3 suppressed (hatched), 0 nothing.
const FRAGMENT = `#version 300 es
precision mediump float;
flat in vec4 shade;
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
    this.place(new Float64Array(0));
  }

  onAdd(map, gl) {
    this.map = map;
    const program = gl.createProgram();
    for (const [type, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ]) {
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
    this.pointBuffer = this.attribute(gl, "point", 2, gl.FLOAT);
    this.fillBuffer = this.attribute(gl, "fill", 4, gl.UNSIGNED_BYTE);
    this.cornerBuffer = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, this.cornerBuffer);
    gl.bindVertexArray(null);
  }

  attribute(gl, name, size, type) {
    const buffer = gl.createBuffer();
    const at = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, type === gl.UNSIGNED_BYTE, 0, 0);
    return buffer;
  }

  // Corners in degrees: west, south, east, north of every square.
  place(corners) {
    this.count = corners.length / 4;
    this.points = new Float32Array(8 * this.count);
    this.corners = new Uint32Array(6 * this.count);
    for (let i = 0; i < this.count; i++) {
      const [west, south, east, north] = corners.subarray(4 * i, 4 * i + 4);
      const from = maplibregl.MercatorCoordinate.fromLngLat({ lng: west, lat: south });
      const to = maplibregl.MercatorCoordinate.fromLngLat({ lng: east, lat: north });
      this.points.set([from.x, from.y, to.x, from.y, from.x, to.y, to.x, to.y], 8 * i);
      this.corners.set(
        [0, 1, 2, 1, 2, 3].map((corner) => 4 * i + corner),
        6 * i,
      );
    }
    this.fills = new Uint32Array(4 * this.count);
    this.moved = this.stale = true;
  }

  // Red, green, blue and mark of every square, four bytes each.
  paint(fills) {
    const each = new Uint32Array(fills.buffer);
    for (let i = 0; i < this.count; i++) this.fills.fill(each[i], 4 * i, 4 * i + 4);
    this.stale = true;
    this.map?.triggerRepaint();
  }

  render(gl, { defaultProjectionData }) {
    if (!this.count) return;
    gl.useProgram(this.program);
    gl.bindVertexArray(this.layout);
    if (this.moved) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.pointBuffer);
      gl.bufferData(gl.ARRAY_BUFFER, this.points, gl.STATIC_DRAW);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, this.corners, gl.STATIC_DRAW);
    }
    if (this.stale) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.fillBuffer);
      gl.bufferData(gl.ARRAY_BUFFER, this.fills, gl.DYNAMIC_DRAW);
    }
    this.moved = this.stale = false;
    gl.uniformMatrix4fv(this.matrix, false, defaultProjectionData.mainMatrix);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    gl.drawElements(gl.TRIANGLES, this.corners.length, gl.UNSIGNED_INT, 0);
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
