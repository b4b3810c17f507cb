/**
 * Dense loops over float64 and over rows of float32. Letters: n rows, d columns; a triangle is the lower half of a symmetric
 * matrix, row after row with `stride` numbers a row, where stride is the size rounded up to a multiple of TILE so that the
 * 4 by 4 tiles below never meet an edge.
 */
export const TILE = 4;

/**
 * Depth of the sums accumulated before a tile is written back; TILE columns of that depth fit the first-level cache.
 */
export const DEPTH = 256;

export type Floats = Float32Array | Float64Array;

/** `count` vectors of `depth` numbers inside one array: number t of vector v is `data[v * vectorStride + t * depthStride]`. */
export interface VectorSet {
  readonly data: Floats;
  readonly count: number;
  readonly depth: number;
  readonly vectorStride: number;
  readonly depthStride: number;
  /** Subtracted from each number: one shift a vector, or one a place. */
  readonly shifts: Float64Array;
  readonly shiftBy: "vector" | "place";
}

/** Adds TILE rows of `width` numbers to the numbers of a triangle from `at` on. */
export function addRows(triangle: Float64Array, at: number, stride: number, rows: Float64Array, width: number): void {
  for (let row = 0, from = 0; row < TILE; row++)
    for (let j = 0, to = at + row * stride; j < width; j++, to++, from++) triangle[to]! += rows[from]!;
}

/** Interleaves TILE (shifted) vectors: place t of vector v goes to `(v - v % TILE) * DEPTH + t * TILE + v % TILE`. */
export function packPanels(panels: Float64Array, vectors: VectorSet, from: number, depth: number): void {
  const { data, count, vectorStride, depthStride, shifts, shiftBy } = vectors;
  const byVector = shiftBy === "vector";
  for (let v = 0; v < count; v++) {
    let to = (v - (v % TILE)) * DEPTH + (v % TILE);
    let at = v * vectorStride + from * depthStride;
    for (let t = 0; t < depth; t++) {
      panels[to] = data[at]! - shifts[byVector ? v : from + t]!;
      to += TILE;
      at += depthStride;
    }
  }
}

function addRow(out: Float64Array, at: number, s0: number, s1: number, s2: number, s3: number): void {
  out[at]! += s0;
  out[at + 1]! += s1;
  out[at + 2]! += s2;
  out[at + 3]! += s3;
}

/** The same for the columns of n rows of d numbers that mostly equal their shift: multiplies only the others. */
export function addSparseProducts(
  triangle: Float64Array,
  stride: number,
  data: Floats,
  d: number,
  shifts: Float64Array,
): void {
  const columns = new Int32Array(d);
  const values = new Float64Array(d);
  for (let row = 0; row < data.length; row += d) {
    let active = 0;
    for (let j = 0; j < d; j++) {
      const value = data[row + j]! - shifts[j]!;
      if (value === 0) continue;
      columns[active] = j;
      values[active++] = value;
    }
    let a = 0;
    for (; a + 3 < active; a += 4) addFourRows(triangle, stride, columns, values, a);
    for (; a < active; a++) addOneRow(triangle, stride, columns, values, a);
  }
}

/** Adds the products of the active value `a` with those up to it. */
function addOneRow(triangle: Float64Array, stride: number, columns: Int32Array, values: Float64Array, a: number): void {
  const at = columns[a]! * stride;
  const value = values[a]!;
  for (let b = 0; b <= a; b++) triangle[at + columns[b]!]! += value * values[b]!;
}

/** The same for the four from `a` on, for which it reads each other value once. */
function addFourRows(
  triangle: Float64Array,
  stride: number,
  columns: Int32Array,
  values: Float64Array,
  a: number,
): void {
  const at0 = columns[a]! * stride;
  const at1 = columns[a + 1]! * stride;
  const at2 = columns[a + 2]! * stride;
  const at3 = columns[a + 3]! * stride;
  const [v0, v1, v2, v3] = [values[a]!, values[a + 1]!, values[a + 2]!, values[a + 3]!];
  for (let b = 0; b <= a; b++) {
    const column = columns[b]!;
    const value = values[b]!;
    triangle[at0 + column]! += v0 * value;
    triangle[at1 + column]! += v1 * value;
    triangle[at2 + column]! += v2 * value;
    triangle[at3 + column]! += v3 * value;
  }
  triangle[at1 + columns[a + 1]!]! += v1 * v1;
  triangle[at2 + columns[a + 1]!]! += v2 * v1;
  triangle[at2 + columns[a + 2]!]! += v2 * v2;
  triangle[at3 + columns[a + 1]!]! += v3 * v1;
  triangle[at3 + columns[a + 2]!]! += v3 * v2;
  triangle[at3 + columns[a + 3]!]! += v3 * v3;
}

/** Subtracts scale v vᵀ from a triangle. */
export function subtractOuter(triangle: Float64Array, stride: number, v: Float64Array, scale: number): void {
  for (let i = 0; i < v.length; i++) {
    if (v[i] === 0) continue;
    const factor = scale * v[i]!;
    for (let j = 0, at = i * stride; j <= i; j++, at++) triangle[at]! -= factor * v[j]!;
  }
}

/** How many of the n rows of d numbers are zero in each column. */
export function zerosByColumn(data: Floats, d: number): Float64Array {
  const zeros = new Float64Array(d);
  for (let row = 0; row < data.length; row += d) for (let j = 0; j < d; j++) if (data[row + j] === 0) zeros[j]!++;
  return zeros;
}

/** Column means of n rows of d numbers; a second pass removes the rounding of the first. */
export function columnMeans(data: Floats, d: number): Float64Array {
  const means = new Float64Array(d);
  const n = data.length / d;
  for (let pass = 0; pass < 2; pass++) {
    const sums = new Float64Array(d);
    for (let row = 0; row < data.length; row += d) for (let j = 0; j < d; j++) sums[j]! += data[row + j]! - means[j]!;
    for (let j = 0; j < d; j++) means[j]! += sums[j]! / n;
  }
  return means;
}

/** (X - shifts) w for n rows of d numbers: n results. */
export function shiftedProduct(data: Floats, shifts: Float64Array, w: Float64Array): Float64Array {
  const d = w.length;
  const out = new Float64Array(data.length / d);
  for (let i = 0, row = 0; i < out.length; i++, row += d) {
    let [even, odd] = [0, 0];
    let j = 0;
    for (; j + 1 < d; j += 2) {
      even += (data[row + j]! - shifts[j]!) * w[j]!;
      odd += (data[row + j + 1]! - shifts[j + 1]!) * w[j + 1]!;
    }
    if (j < d) even += (data[row + j]! - shifts[j]!) * w[j]!;
    out[i] = even + odd;
  }
  return out;
}

/** (X - shifts)ᵀ v for n rows of d numbers and n numbers v: d results. */
export function shiftedTransposeProduct(data: Floats, shifts: Float64Array, v: Float64Array): Float64Array {
  const d = shifts.length;
  const out = new Float64Array(d);
  for (let i = 0, row = 0; i < v.length; i++, row += d) {
    const scale = v[i]!;
    for (let j = 0; j < d; j++) out[j]! += scale * (data[row + j]! - shifts[j]!);
  }
  return out;
}

/** (X - shifts) W for n rows of d numbers and W [d, k]: n rows of k results. Zeros in X cost nothing. */
export function shiftedProducts(data: Floats, shifts: Float64Array, w: Float64Array): Float64Array {
  const d = shifts.length;
  const k = w.length / d;
  const shifted = new Float64Array(k);
  for (let j = 0; j < d; j++) for (let c = 0; c < k; c++) shifted[c]! -= shifts[j]! * w[j * k + c]!;
  const out = new Float64Array((data.length / d) * k);
  for (let row = 0, to = 0; row < data.length; row += d, to += k) {
    out.set(shifted, to);
    for (let j = 0; j < d; j++) {
      const value = data[row + j]!;
      if (value === 0) continue;
      const from = j * k;
      for (let c = 0; c < k; c++) out[to + c]! += value * w[from + c]!;
    }
  }
  return out;
}

/** Vᵀ y for n rows of k numbers and n numbers y: k results. */
export function transposeProduct(rows: Float64Array, y: Float64Array): Float64Array {
  const k = rows.length / y.length;
  const out = new Float64Array(k);
  for (let i = 0, at = 0; i < y.length; i++, at += k) {
    const value = y[i]!;
    for (let c = 0; c < k; c++) out[c]! += value * rows[at + c]!;
  }
  return out;
}

/** (X - shifts)ᵀ (X - shifts) v for n rows of d numbers and d numbers v, in one pass over the rows: d results. */
export function shiftedScatterProduct(data: Floats, shifts: Float64Array, v: Float64Array): Float64Array {
  const d = v.length;
  const out = new Float64Array(d);
  const shifted = new Float64Array(d);
  for (let row = 0; row < data.length; row += d) {
    let score = 0;
    for (let j = 0; j < d; j++) {
      const value = data[row + j]! - shifts[j]!;
      shifted[j] = value;
      score += value * v[j]!;
    }
    for (let j = 0; j < d; j++) out[j]! += score * shifted[j]!;
  }
  return out;
}

/**
 * Rows i to i + TILE - 1 of the Cholesky factor L (L Lᵀ = A) of a triangle, in place, after those before them. Returns the row
 * whose pivot is not above `smallest` times its diagonal element, or -1 when there is none. Padding rows must hold 1 on the
 * diagonal.
 */
export function factorTileRow(l: Float64Array, stride: number, i: number, smallest: number): number {
  const diagonal = [
    l[i * stride + i]!,
    l[(i + 1) * (stride + 1)]!,
    l[(i + 2) * (stride + 1)]!,
    l[(i + 3) * (stride + 1)]!,
  ];
  for (let j = 0; j <= i; j += TILE) {
    subtractTile(l, i * stride, j * stride, i * stride + j, stride, j);
    for (let row = i; row < i + TILE; row++) {
      for (let column = j; column < j + TILE && column <= row; column++) {
        let value = l[row * stride + column]!;
        for (let k = j; k < column; k++) value -= l[row * stride + k]! * l[column * stride + k]!;
        if (row === column && !(value > smallest * diagonal[row - i]!)) return row;
        l[row * stride + column] = row === column ? Math.sqrt(value) : value / l[column * stride + column]!;
      }
    }
  }
  return -1;
}

/**
 * Subtracts from a tile the inner products of the first `depth` numbers of four rows from `left` and four rows from
 * `right`.
 */
function subtractTile(l: Float64Array, left: number, right: number, at: number, stride: number, depth: number): void {
  for (let i = 0; i < TILE; i += 2) {
    const [a, b] = [left + i * stride, left + (i + 1) * stride];
    let [a0, a1, a2, a3] = [0, 0, 0, 0];
    let [b0, b1, b2, b3] = [0, 0, 0, 0];
    for (let k = 0, j = right; k < depth; k++, j++) {
      const x = l[a + k]!;
      const y = l[b + k]!;
      const r0 = l[j]!;
      const r1 = l[j + stride]!;
      const r2 = l[j + 2 * stride]!;
      const r3 = l[j + 3 * stride]!;
      a0 -= x * r0;
      a1 -= x * r1;
      a2 -= x * r2;
      a3 -= x * r3;
      b0 -= y * r0;
      b1 -= y * r1;
      b2 -= y * r2;
      b3 -= y * r3;
    }
    addRow(l, at + i * stride, a0, a1, a2, a3);
    addRow(l, at + (i + 1) * stride, b0, b1, b2, b3);
  }
}

/** Solves L Lᵀ x = b in place. */
export function solveInPlace(l: Float64Array, stride: number, x: Float64Array): void {
  for (let i = 0; i < x.length; i++) {
    let value = x[i]!;
    for (let k = 0; k < i; k++) value -= l[i * stride + k]! * x[k]!;
    x[i] = value / l[i * stride + i]!;
  }
  for (let i = x.length - 1; i >= 0; i--) {
    const value = x[i]! / l[i * stride + i]!;
    x[i] = value;
    for (let k = 0; k < i; k++) x[k]! -= l[i * stride + k]! * value;
  }
}

export function dot(a: Float64Array, b: Float64Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
}

/** target += scale * source. */
export function addScaled(target: Float64Array, scale: number, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += scale * source[i]!;
}
