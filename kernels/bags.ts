/**
 * Embedding bags: N rows, each the weighted sum of K rows of a table, and their gradients. Sums run in a fixed order
 * (of rows and of K), without float atomics, so that results are deterministic.
 */
import { defineKernel, foldedGrid, type Launch, type Param, sumAll } from "./wgsl.ts";

export interface BagShape {
  /** N */
  readonly rows: number;
  /** K */
  readonly each: number;
  /** D */
  readonly width: number;
  /** V, rows of the table. */
  readonly table: number;
}

const lanes = 64;
/** Rows whose weights are in workgroup memory at once: whole words of marks. */
const heldRows = lanes;

const u32 = (...names: string[]): Param[] => names.map((name) => ({ name, type: "u32" }));
const read = (name: string, type: "f32" | "i32" = "f32") => ({ name, type, access: "read" }) as const;
const written = { name: "y", type: "f32", access: "read_write" } as const;

/** (table [V, D], ids [N, K], weights [N, K]) -> [N, D]. */
export function embeddingBagLaunch({ rows, each, width }: BagShape): Launch {
  const kernel = defineKernel({
    name: "embeddingBag",
    bindings: [read("table"), read("ids", "i32"), read("weights"), written],
    params: u32("size", "each", "width"),
    size: lanes,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size) { return; }
  let bag = at / p.width * p.each;
  let d = at % p.width;
  var sum = 0.0f;
  for (var k = bag; k < bag + p.each; k++) { sum += weights[k] * table[u32(ids[k]) * p.width + d]; }
  y[at] = sum;`,
  });
  return { kernel, params: [rows * width, each, width], grid: foldedGrid(Math.ceil((rows * width) / lanes)) };
}

/** (table [V, D], ids [N, K], dY [N, D]) -> [N, K]: dot products of each used row of the table with the row's dY. */
export function bagDotsLaunch({ rows, each, width }: BagShape): Launch {
  const kernel = defineKernel({
    name: "bagDots",
    bindings: [read("table"), read("ids", "i32"), read("dY"), written],
    params: u32("size", "each", "width"),
    size: lanes,
    declarations: sumAll(lanes),
    body: `
  if (group >= p.size) { return; }
  let from_ = u32(ids[group]) * p.width;
  let slope = group / p.each * p.width;
  var sum = 0.0f;
  for (var d = lane; d < p.width; d += ${lanes}u) { sum += table[from_ + d] * dY[slope + d]; }
  sum = sumAll(sum, lane);
  if (lane == 0u) { y[group] = sum; }`,
  });
  return { kernel, params: [rows * each, each, width], grid: foldedGrid(rows * each) };
}

/** Number of words of marks: for each row of the table, one bit per row of N. */
export function bagMarks({ rows, table }: BagShape): number {
  return table * Math.ceil(rows / 32);
}

/** marks -> 0. */
export function clearMarksLaunch(shape: BagShape): Launch {
  const kernel = defineKernel({
    name: "clearMarks",
    bindings: [{ name: "marks", type: "u32", access: "read_write" }],
    params: u32("size"),
    size: lanes,
    body: `
  let at = group * ${lanes}u + lane;
  if (at < p.size) { marks[at] = 0u; }`,
  });
  return { kernel, params: [bagMarks(shape)], grid: foldedGrid(Math.ceil(bagMarks(shape) / lanes)) };
}

/** (ids [N, K], marks [V, N / 32] of zeros) -> marks of the rows that contain each id. */
export function markBagsLaunch({ rows, each }: BagShape): Launch {
  const kernel = defineKernel({
    name: "markBags",
    bindings: [read("ids", "i32"), { name: "marks", type: "atomic<u32>", access: "read_write" }],
    params: u32("size", "each", "words"),
    size: lanes,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size) { return; }
  let row = at / p.each;
  atomicOr(&marks[u32(ids[at]) * p.words + row / 32u], 1u << (row % 32u));`,
  });
  const params = [rows * each, each, Math.ceil(rows / 32)];
  return { kernel, params, grid: foldedGrid(Math.ceil((rows * each) / lanes)) };
}

/** (ids [N, K], weights [N, K], dY [N, D], marks, table [V, D] in place) -> table with weight times dY added at every id. */
export function addBagsLaunch({ rows, each, width, table }: BagShape): Launch {
  const blocks = Math.ceil(width / lanes);
  const kernel = defineKernel({
    name: "addBags",
    bindings: [
      read("ids", "i32"),
      read("weights"),
      read("dY"),
      { name: "marks", type: "u32", access: "read" },
      { name: "table", type: "f32", access: "read_write" },
    ],
    params: u32("size", "rows", "each", "width", "words", "blocks"),
    size: lanes,
    declarations: `var<workgroup> held: array<f32, ${heldRows}>;`,
    body: `
  if (group >= p.size) { return; }
  let id = group / p.blocks;
  let d = group % p.blocks * ${lanes}u + lane;
  var sum = 0.0f;
  for (var first = 0u; first < p.rows; first += ${heldRows}u) {
    // A lane finds the weight of one row, then all lanes add the rows that have one.
    let row = first + lane;
    var weight = 0.0f;
    if (row < p.rows && extractBits(marks[id * p.words + row / 32u], row % 32u, 1u) == 1u) {
      for (var k = row * p.each; k < (row + 1u) * p.each; k++) {
        if (u32(ids[k]) == id) { weight += weights[k]; }
      }
    }
    held[lane] = weight;
    workgroupBarrier();
    for (var word = first / 32u; word < min(p.words, (first + ${heldRows}u) / 32u); word++) {
      var bits = marks[id * p.words + word];
      while (bits != 0u) {
        let other = word * 32u + countTrailingZeros(bits);
        bits &= bits - 1u;
        if (d < p.width) { sum += held[other - first] * dY[other * p.width + d]; }
      }
    }
    workgroupBarrier();
  }
  if (d < p.width) { table[id * p.width + d] += sum; }`,
  });
  const params = [table * blocks, rows, each, width, Math.ceil(rows / 32), blocks];
  return { kernel, params, grid: foldedGrid(table * blocks) };
}
