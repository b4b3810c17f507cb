/**
 * The k largest entries of each row, descending; ties go to the lower index. One workgroup per row, and one pass for
 * each of the k; where that is slow, a radix select (top-k-select.ts).
 */
import { selectLaunch, selectPays, type TopKShape } from "./top-k-select.ts";
import { defineKernel, foldedGrid, type Kernel, type Launch, lanesFor, lowest, type Param } from "./wgsl.ts";

const params: readonly Param[] = [
  { name: "rows", type: "u32" },
  { name: "columns", type: "u32" },
  { name: "k", type: "u32" },
];

/**
 * Each round finds the largest entry after the last one found in sort order, so that no entry must be marked as used.
 */
const nextLargest = (size: number): string => `
var<workgroup> bestValues: array<f32, ${size}>;
var<workgroup> bestPlaces: array<u32, ${size}>;
fn comesFirst(a: f32, placeA: u32, b: f32, placeB: u32) -> bool { return a > b || (a == b && placeA < placeB); }
fn nextLargest(base: u32, lane: u32, last: f32, lastPlace: u32) {
  var best = ${lowest};
  var place = 0xffffffffu;
  for (var c = lane; c < p.columns; c += ${size}u) {
    let value = x[base + c];
    let after = lastPlace == 0xffffffffu || comesFirst(last, lastPlace, value, c);
    if (after && (place == 0xffffffffu || comesFirst(value, c, best, place))) { best = value; place = c; }
  }
  bestValues[lane] = best;
  bestPlaces[lane] = place;
  workgroupBarrier();
  for (var half = ${size / 2}u; half > 0u; half >>= 1u) {
    if (lane < half) {
      let other = lane + half;
      let there = bestPlaces[other] != 0xffffffffu;
      if (there && (bestPlaces[lane] == 0xffffffffu || comesFirst(bestValues[other], bestPlaces[other], bestValues[lane], bestPlaces[lane]))) {
        bestValues[lane] = bestValues[other];
        bestPlaces[lane] = bestPlaces[other];
      }
    }
    workgroupBarrier();
  }
}`;

const rounds = (found: string): string => `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  var last = 0.0f;
  var lastPlace = 0xffffffffu;
  for (var round = 0u; round < p.k; round++) {
    nextLargest(base, lane, last, lastPlace);
    last = workgroupUniformLoad(&bestValues[0]);
    lastPlace = workgroupUniformLoad(&bestPlaces[0]);
    ${found}
  }`;

/** x [rows, columns] -> the values [rows, k]. */
export function topKValuesLaunch(shape: TopKShape): Launch {
  if (selectPays("values", shape)) return selectLaunch("values", shape);
  return launch("topKValues", "f32", shape, rounds("if (lane == 0u) { y[group * p.k + round] = last; }"));
}

/** x [rows, columns] -> the indices [rows, k]. */
export function topKIndicesLaunch(shape: TopKShape): Launch {
  if (selectPays("indices", shape)) return selectLaunch("indices", shape);
  return launch("topKIndices", "i32", shape, rounds("if (lane == 0u) { y[group * p.k + round] = i32(lastPlace); }"));
}

/** x [rows, columns] -> x where it is among the k largest, else 0. */
export function keepTopKLaunch(shape: TopKShape): Launch {
  if (selectPays("kept", shape)) return selectLaunch("kept", shape);
  const keep = `
  for (var c = lane; c < p.columns; c += ${lanesFor(shape.columns)}u) {
    let value = x[base + c];
    y[base + c] = select(value, 0.0f, comesFirst(last, lastPlace, value, c));
  }`;
  return launch("keepTopK", "f32", shape, rounds("") + keep);
}

function launch(name: string, type: "f32" | "i32", { rows, columns, k }: TopKShape, body: string): Launch {
  const size = lanesFor(columns);
  const kernel: Kernel = defineKernel({
    name,
    bindings: [
      { name: "x", type: "f32", access: "read" },
      { name: "y", type, access: "read_write" },
    ],
    params,
    size,
    declarations: nextLargest(size),
    body,
  });
  return { kernel, params: [rows, columns, k], grid: foldedGrid(rows) };
}
