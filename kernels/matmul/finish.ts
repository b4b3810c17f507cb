/** Shared by all product kernels: how sums are written to y, and the order in which workgroups take tiles. */
import {
  type Binding,
  defineKernel,
  type ElementType,
  foldedGrid,
  type Launch,
  type Param,
  plainFragment,
} from "../wgsl.ts";
import { type Finish, floatOperations, type MatmulShape } from "./shape.ts";

/** Bindings and declarations with which a kernel writes its sums: a function `place`, and the epilogue's own. */
interface FinishText {
  readonly bindings: readonly Binding[];
  readonly declarations: string;
}

/**
 * Generates `place(value, row, column, base)`, which applies the finish to a sum and stores it, unless it is beyond
 * the edge. `base` is the matrix's offset in y. `value` is four adjacent elements of a row; with `quads` y is bound
 * as vec4s.
 */
export function finishText(
  { splits, epilogue, accumulate }: Finish & { splits: number },
  by: "quads" | "single",
): FinishText {
  const { bindings, declarations, statements, result } = splits > 1 ? plainFragment : epilogue;
  const [target, add] = splits > 1 ? ["parts", false] : ["y", accumulate];
  const finish = `
${declarations}
fn finished(value: f32, column: u32, at: u32) -> f32 {
${statements}
  return ${result};
}`;
  const each = [0, 1, 2, 3].map((c) => `finished(value[${c}], column + ${c}u, at + ${c}u)`);
  const quads = `
fn place(value: vec4<f32>, row: u32, column: u32, base: u32) {
  if (row >= p.M || column >= p.N) { return; }
  let at = base + row * p.N + column;
  ${target}[at / 4u] ${add ? "+=" : "="} vec4<f32>(${each.join(", ")});
}`;
  const one = `
fn placeOne(value: f32, row: u32, column: u32, base: u32) {
  if (row >= p.M || column >= p.N) { return; }
  let at = base + row * p.N + column;
  ${target}[at] ${add ? "+=" : "="} finished(value, column, at);
}
fn place(value: vec4<f32>, row: u32, column: u32, base: u32) {
  ${[0, 1, 2, 3].map((c) => `placeOne(value[${c}], row, column + ${c}u, base);`).join("\n  ")}
}`;
  return { bindings, declarations: finish + (by === "quads" ? quads : one) };
}

export function storeBinding(splits: number, type: ElementType): Binding {
  return { name: splits > 1 ? "parts" : "y", type, access: "read_write" };
}

/** The parameters of a tiled product, as filled by `tileGrid`. */
export const tileParams: readonly Param[] = [
  ...["M", "N", "K", "strideA", "strideB", "tilesM", "tilesN", "batch", "splits", "part"].map(
    (name): Param => ({ name, type: "u32" }),
  ),
  { name: "alpha", type: "f32" },
];

/** One workgroup per tile, batch item and split; splits are whole multiples of the tile's `inner`. */
export function tileGrid(
  shape: MatmulShape,
  tile: { readonly rows: number; readonly columns: number; readonly inner: number },
  splits: number,
): Omit<Launch, "kernel"> {
  const { batch, M, N, K, alpha, sharedB } = shape;
  const [tilesM, tilesN] = [Math.ceil(M / tile.rows), Math.ceil(N / tile.columns)];
  const part = Math.ceil(K / splits / tile.inner) * tile.inner;
  return {
    params: [M, N, K, M * K, sharedB ? 0 : K * N, tilesM, tilesN, batch, splits, part, alpha],
    grid: foldedGrid(tilesM * tilesN * batch * splits),
    operations: floatOperations(shape),
  };
}

/**
 * The beginning of a kernel on a `tileGrid`: defines `slice` and its batch `item`, that item's offsets in the factors
 * (`baseA`, `baseB`), `row0` and `column0` of the tile, and `begin` and `end` of the split of the inner extent.
 */
export function tileStart(rows: number, columns: number): string {
  return `  let tiles = p.tilesM * p.tilesN;
  let slice = group / tiles;
  if (slice >= p.batch * p.splits) { return; }
  let item = slice % p.batch;
  let split = slice / p.batch;
${bandedTile(rows, columns)}
  let baseA = item * p.strideA;
  let baseB = item * p.strideB;
  let begin = split * p.part;
  let end = min(p.K, begin + p.part);`;
}

/**
 * `row0` and `column0` of this workgroup's tile. Tiles are ordered in bands of several tile rows, column by column
 * within a band, so that concurrent workgroups share rows of A and columns of B in the adapter's cache.
 */
function bandedTile(rows: number, columns: number): string {
  return `  let tile = group % (p.tilesM * p.tilesN);
  let band = tile / (${bandTiles}u * p.tilesN);
  let inBand = tile % (${bandTiles}u * p.tilesN);
  let bandRows = min(${bandTiles}u, p.tilesM - band * ${bandTiles}u);
  let row0 = (band * ${bandTiles}u + inBand % bandRows) * ${rows}u;
  let column0 = (inBand / bandRows) * ${columns}u;`;
}

const bandTiles = 8;

/** parts [splits, batch, M, N] -> y [batch, M, N], added in order, with the finish. Bindings: parts, the epilogue's, y. */
export function sumSplitsLaunch({ batch, M, N }: MatmulShape, splits: number, finish: Finish): Launch {
  const { epilogue, accumulate } = finish;
  const lanes = 64;
  const size = batch * M * N;
  const kernel = defineKernel({
    name: "sumSplits",
    bindings: [
      { name: "parts", type: "f32", access: "read" },
      ...epilogue.bindings,
      { name: "y", type: "f32", access: "read_write" },
    ],
    params: ["splits", "size", "N"].map((name) => ({ name, type: "u32" }) as const),
    size: lanes,
    declarations: epilogue.declarations,
    body: `
  let at = group * ${lanes}u + lane;
  if (at >= p.size) { return; }
  let column = at % p.N;
  var value = 0.0f;
  for (var split = 0u; split < p.splits; split++) { value += parts[split * p.size + at]; }
${epilogue.statements}
  y[at] ${accumulate ? "+=" : "="} ${epilogue.result};`,
  });
  return { kernel, params: [splits, size, N], grid: foldedGrid(Math.ceil(size / lanes)) };
}
