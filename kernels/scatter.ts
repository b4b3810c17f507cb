/**
 * Scatter-add of rows at ids without float atomics, so that sums have a fixed order and results are deterministic.
 * Places with equal ids form a linked list; the first place in it sums the list.
 */
import { defineKernel, foldedGrid, type Launch } from "./wgsl.ts";

const linkSize = 64;
/** Flag in `links` of a place whose id an earlier place has too; that one sums its row. */
const notFirst = 0x8000_0000;

/**
 * ids [count] -> links [count]: the next place with the same id, or `count`; plus `notFirst` if an earlier place has
 * it.
 */
export function linkLaunch(count: number): Launch {
  const kernel = defineKernel({
    name: "linkEqualIds",
    bindings: [
      { name: "ids", type: "i32", access: "read" },
      { name: "links", type: "u32", access: "read_write" },
    ],
    params: [{ name: "count", type: "u32" }],
    size: linkSize,
    body: `
  let at = group * ${linkSize}u + lane;
  if (at >= p.count) { return; }
  let id = ids[at];
  var link = at + 1u;
  while (link < p.count && ids[link] != id) { link++; }
  var earlier = 0u;
  for (var before = 0u; before < at; before++) {
    if (ids[before] == id) { earlier = ${notFirst}u; break; }
  }
  links[at] = link | earlier;`,
  });
  return { kernel, params: [count], grid: foldedGrid(Math.ceil(count / linkSize)) };
}

/** (ids [count], links, rows [count, width], table [V, width] in place) -> table with every row added at its id. */
export function addLinkedRowsLaunch(count: number, width: number): Launch {
  const kernel = defineKernel({
    name: "addLinkedRows",
    bindings: [
      { name: "ids", type: "i32", access: "read" },
      { name: "links", type: "u32", access: "read" },
      { name: "rows", type: "f32", access: "read" },
      { name: "table", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "count", type: "u32" },
      { name: "width", type: "u32" },
    ],
    size: linkSize,
    body: `
  let blocks = (p.width + ${linkSize - 1}u) / ${linkSize}u;
  let at = group / blocks;
  let d = (group % blocks) * ${linkSize}u + lane;
  if (at >= p.count || d >= p.width) { return; }
  if ((links[at] & ${notFirst}u) != 0u) { return; }
  let to = u32(ids[at]) * p.width + d;
  var sum = table[to];
  for (var row = at; row < p.count; row = links[row] & ${notFirst - 1}u) { sum += rows[row * p.width + d]; }
  table[to] = sum;`,
  });
  return { kernel, params: [count, width], grid: foldedGrid(count * Math.ceil(width / linkSize)) };
}

/** (values [N, K], ids [N, K]) -> [N, width]: values added at their ids, in the order of k. One workgroup per row. */
export function scatterRowLaunch(rows: number, k: number, width: number): Launch {
  const kernel = defineKernel({
    name: "scatterRow",
    bindings: [
      { name: "values", type: "f32", access: "read" },
      { name: "ids", type: "i32", access: "read" },
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: [
      { name: "rows", type: "u32" },
      { name: "k", type: "u32" },
      { name: "width", type: "u32" },
    ],
    size: linkSize,
    body: `
  if (group >= p.rows) { return; }
  for (var c = lane; c < p.width; c += ${linkSize}u) { y[group * p.width + c] = 0.0f; }
  storageBarrier();
  let base = group * p.k;
  for (var at = lane; at < p.k; at += ${linkSize}u) {
    let id = ids[base + at];
    var first = true;
    for (var before = 0u; before < at; before++) { first = first && ids[base + before] != id; }
    if (first) {
      var sum = 0.0f;
      for (var same = at; same < p.k; same++) { if (ids[base + same] == id) { sum += values[base + same]; } }
      y[group * p.width + u32(id)] = sum;
    }
  }`,
  });
  return { kernel, params: [rows, k, width], grid: foldedGrid(rows) };
}
