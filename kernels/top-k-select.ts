/**
 * The k largest entries of long rows without k passes: a radix select finds the k-th largest value in four passes
 * over a row, eight bits at a time, with a histogram in workgroup memory. Values are compared as integers in the same
 * order. The selected entries are then sorted, so that the order of invocations does not matter. One workgroup per
 * row; ties go to the lower index.
 */
import { defineKernel, foldedGrid, type Launch, type Param } from "./wgsl.ts";

export interface TopKShape {
  readonly rows: number;
  readonly columns: number;
  readonly k: number;
}

export type TopKResult = "values" | "indices" | "kept";

/** One lane per value of eight bits. */
const lanes = 256;
const mostSorted = 512;

/** Whether this is faster than one pass for each of the k; only what is kept in place needs no sorting, and so any k. */
export function selectPays(result: TopKResult, { columns, k }: TopKShape): boolean {
  return columns >= lanes && k > 4 && (result === "kept" || k <= mostSorted);
}

const params: readonly Param[] = [
  { name: "rows", type: "u32" },
  { name: "columns", type: "u32" },
  { name: "k", type: "u32" },
];

/**
 * x [rows, columns] -> `values` or `indices` [rows, k], descending, or `kept` [rows, columns]: x where in the top k,
 * else 0.
 */
export function selectLaunch(result: TopKResult, shape: TopKShape): Launch {
  const { rows, columns, k } = shape;
  const sorted = 2 ** Math.ceil(Math.log2(k));
  const kernel = defineKernel({
    name: `top-k ${result} by selection`,
    bindings: [
      { name: "x", type: "f32", access: "read" },
      { name: "y", type: result === "indices" ? "i32" : "f32", access: "read_write" },
    ],
    params,
    size: lanes,
    declarations: threshold + (result === "kept" ? "" : sortText(sorted)),
    body: `
  if (group >= p.rows) { return; }
  let base = group * p.columns;
  let least = kthLargest(base, lane);${result === "kept" ? keptBody : sortedBody(result, sorted)}`,
  });
  return { kernel, params: [rows, columns, k], grid: foldedGrid(rows) };
}

/**
 * `kthLargest` returns the k-th largest entry's key, how many entries with that key are in the k, and how many have
 * it.
 */
const threshold = `
struct Least { key: u32, taken: u32, equal: u32 }
var<workgroup> counts: array<atomic<u32>, ${lanes}>;
var<workgroup> sums: array<u32, ${lanes}>;
var<workgroup> found: Least;

/** Integers in the order of the numbers; both zeros are one. */
fn keyOf(value: f32) -> u32 {
  let bits = select(bitcast<u32>(value), 0u, value == 0.0f);
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

/** The sum of \`value\` over this lane and all above. */
fn sumFrom(value: u32, lane: u32) -> u32 {
  sums[lane] = value;
  workgroupBarrier();
  for (var step = 1u; step < ${lanes}u; step <<= 1u) {
    var other = 0u;
    if (lane + step < ${lanes}u) { other = sums[lane + step]; }
    workgroupBarrier();
    sums[lane] += other;
    workgroupBarrier();
  }
  return sums[lane];
}

fn kthLargest(base: u32, lane: u32) -> Least {
  var prefix = 0u;
  var wanted = p.k;
  var equal = 0u;
  for (var shift = 32u; shift > 0u; ) {
    let above = select(0u, 0xffffffffu << shift, shift < 32u);
    shift -= 8u;
    atomicStore(&counts[lane], 0u);
    workgroupBarrier();
    for (var c = lane; c < p.columns; c += ${lanes}u) {
      let key = keyOf(x[base + c]);
      if ((key & above) == prefix) { atomicAdd(&counts[(key >> shift) & 255u], 1u); }
    }
    workgroupBarrier();
    let own = atomicLoad(&counts[lane]);
    let upward = sumFrom(own, lane);
    // The one digit at which the count from the top reaches what is wanted.
    if (upward >= wanted && upward - own < wanted) {
      found = Least(prefix | (lane << shift), wanted - (upward - own), own);
    }
    let best = workgroupUniformLoad(&found);
    prefix = best.key;
    wanted = best.taken;
    equal = best.equal;
  }
  return Least(prefix, wanted, equal);
}

/** How many entries with the key stand in the spans of lower lanes; each lane owns neighbouring places. */
fn equalBefore(base: u32, lane: u32, key: u32) -> u32 {
  let span = (p.columns + ${lanes - 1}u) / ${lanes}u;
  var own = 0u;
  for (var at = lane * span; at < min(p.columns, (lane + 1u) * span); at++) { own += select(0u, 1u, keyOf(x[base + at]) == key); }
  let upward = sumFrom(own, lane);
  let all = workgroupUniformLoad(&sums[0]);
  return all - upward;
}
`;

const keptBody = `
  let allEqual = least.taken == least.equal;
  for (var c = lane; c < p.columns; c += ${lanes}u) {
    let value = x[base + c];
    let key = keyOf(value);
    y[base + c] = select(0.0f, value, key > least.key || (key == least.key && allEqual));
  }
  if (!allEqual) {
    let span = (p.columns + ${lanes - 1}u) / ${lanes}u;
    var rank = equalBefore(base, lane, least.key);
    storageBarrier();
    for (var at = lane * span; at < min(p.columns, (lane + 1u) * span); at++) {
      let value = x[base + at];
      if (keyOf(value) == least.key) {
        if (rank < least.taken) { y[base + at] = value; }
        rank++;
      }
    }
  }`;

/** The selected entries as pairs of key and index, and a bitonic sort of them: largest key first, then lowest index. */
const sortText = (sorted: number): string => `
var<workgroup> keys: array<u32, ${sorted}>;
var<workgroup> places: array<u32, ${sorted}>;
var<workgroup> filled: atomic<u32>;

fn take(key: u32, place: u32) {
  let slot = atomicAdd(&filled, 1u);
  keys[slot] = key;
  places[slot] = place;
}

fn sortTaken(lane: u32) {
  for (var size = 2u; size <= ${sorted}u; size <<= 1u) {
    for (var stride = size >> 1u; stride > 0u; stride >>= 1u) {
      for (var pair = lane; pair < ${sorted / 2}u; pair += ${lanes}u) {
        let low = 2u * pair - (pair & (stride - 1u));
        let high = low + stride;
        let first = keys[low] > keys[high] || (keys[low] == keys[high] && places[low] < places[high]);
        if (first != ((low & size) == 0u)) {
          let key = keys[low];
          let place = places[low];
          keys[low] = keys[high];
          places[low] = places[high];
          keys[high] = key;
          places[high] = place;
        }
      }
      workgroupBarrier();
    }
  }
}
`;

const sortedBody = (result: "values" | "indices", sorted: number): string => `
  if (lane == 0u) { atomicStore(&filled, 0u); }
  // Behind everything: no number has the key 0.
  for (var slot = lane; slot < ${sorted}u; slot += ${lanes}u) {
    keys[slot] = 0u;
    places[slot] = 0xffffffffu;
  }
  workgroupBarrier();
  let allEqual = least.taken == least.equal;
  for (var c = lane; c < p.columns; c += ${lanes}u) {
    let key = keyOf(x[base + c]);
    if (key > least.key || (key == least.key && allEqual)) { take(key, c); }
  }
  if (!allEqual) {
    let span = (p.columns + ${lanes - 1}u) / ${lanes}u;
    var rank = equalBefore(base, lane, least.key);
    for (var at = lane * span; at < min(p.columns, (lane + 1u) * span); at++) {
      if (keyOf(x[base + at]) == least.key) {
        if (rank < least.taken) { take(least.key, at); }
        rank++;
      }
    }
  }
  workgroupBarrier();
  sortTaken(lane);
  for (var slot = lane; slot < p.k; slot += ${lanes}u) {
    y[group * p.k + slot] = ${result === "indices" ? "i32(places[slot])" : "x[base + places[slot]]"};
  }`;
