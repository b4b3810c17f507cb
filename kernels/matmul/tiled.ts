/**
 * Products in f32 for every adapter, with tiles in workgroup memory: a workgroup computes a tile [rows, columns] of
 * y, an invocation `perRow` x `perColumn` of its elements in registers. With `splits` above 1 a workgroup sums one
 * part of the inner extent, and `sumSplitsLaunch` adds up the parts in a fixed order.
 */
import { defineKernel, type Kernel, type Launch } from "../wgsl.ts";
import { finishText, storeBinding, tileGrid, tileParams, tileStart } from "./finish.ts";
import type { Finish, MatmulShape } from "./shape.ts";

export interface Tile {
  readonly rows: number;
  readonly columns: number;
  readonly inner: number;
  /** Elements per invocation; multiples of 4. */
  readonly perRow: number;
  readonly perColumn: number;
}

export interface TiledOptions extends Finish {
  readonly tile: Tile;
  /** Above 1 the result is `parts` [splits, batch, M, N] without the finish. */
  readonly splits: number;
}

/** Bindings: a, b, what the epilogue binds, then y, or `parts` with splits. */
export function tiledLaunch(shape: MatmulShape, options: TiledOptions): Launch {
  return { kernel: tiledKernel(shape, options), ...tileGrid(shape, options.tile, options.splits) };
}

export const tileInvocations = (tile: Tile): number => (tile.rows / tile.perRow) * (tile.columns / tile.perColumn);

/** Bytes of workgroup memory. */
export const tileStorage = ({ rows, columns, inner }: Tile): number =>
  16 * inner * (paddedQuads(rows) + paddedQuads(columns));

function tiledKernel({ transA, transB, M, N, K }: MatmulShape, options: TiledOptions): Kernel {
  const { tile } = options;
  // Whether the extent of each operand's contiguous axis allows reads of four.
  const wideA = (transA ? M : K) % 4 === 0;
  const wideB = (transB ? K : N) % 4 === 0;
  const wideY = N % 4 === 0;
  const left: Side = {
    name: "a",
    store: "tileA",
    along: "M",
    extent: tile.rows,
    contiguousInner: !transA,
    wide: wideA,
  };
  const right: Side = {
    name: "b",
    store: "tileB",
    along: "N",
    extent: tile.columns,
    contiguousInner: transB,
    wide: wideB,
  };
  const finish = finishText(options, wideY ? "quads" : "single");
  return defineKernel({
    name: `matmul ${transA ? "At" : "A"} ${transB ? "Bt" : "B"} ${tile.rows}x${tile.columns}x${tile.inner}`,
    bindings: [
      { name: "a", type: wideA ? "vec4f" : "f32", access: "read" },
      { name: "b", type: wideB ? "vec4f" : "f32", access: "read" },
      ...finish.bindings,
      storeBinding(options.splits, wideY ? "vec4f" : "f32"),
    ],
    params: tileParams,
    size: tileInvocations(tile),
    declarations: `
var<workgroup> tileA: array<vec4<f32>, ${tile.inner * paddedQuads(tile.rows)}>;
var<workgroup> tileB: array<vec4<f32>, ${tile.inner * paddedQuads(tile.columns)}>;${finish.declarations}`,
    body: body(tile, left, right),
  });
}

interface Side {
  readonly name: "a" | "b";
  readonly store: "tileA" | "tileB";
  /** The axis beside the inner one. */
  readonly along: "M" | "N";
  readonly extent: number;
  /** Whether the operand is contiguous along the inner axis. */
  readonly contiguousInner: boolean;
  readonly wide: boolean;
}

/** One quad more than needed, so that writes down a column hit different banks. */
function paddedQuads(extent: number): number {
  return extent / 4 + 1;
}

function body(tile: Tile, left: Side, right: Side): string {
  const { rows, columns, inner, perRow, perColumn } = tile;
  const across = columns / perColumn;
  const [quadRows, quadColumns] = [perRow / 4, perColumn / 4];
  const down = 4 * (rows / perRow);
  const each = pairs(perRow, quadColumns);
  const stores = each.map(([i, j]) => {
    const row = `row0 + ${Math.floor(i / 4) * down + (i % 4)}u + ty * 4u`;
    return `  place(p.alpha * c${i}_${j}, ${row}, column0 + ${j * across * 4}u + tx * 4u, base);`;
  });
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
  return `
${tileStart(rows, columns)}
  let ty = lane / ${across}u;
  let tx = lane % ${across}u;
${each.map(([i, j]) => `  var c${i}_${j} = vec4<f32>();`).join("\n")}
  for (var k0 = begin; k0 < end; k0 += ${inner}u) {
${fill(left, tile, "row0", "baseA")}
${fill(right, tile, "column0", "baseB")}
    workgroupBarrier();
    for (var k = 0u; k < ${inner}u; k++) {
${numbers(quadRows)
  .map((i) => `      let a${i} = tileA[k * ${paddedQuads(rows)}u + ${i * (rows / perRow)}u + ty];`)
  .join("\n")}
${numbers(quadColumns)
  .map((j) => `      let b${j} = tileB[k * ${paddedQuads(columns)}u + ${j * across}u + tx];`)
  .join("\n")}
${each.map(([i, j]) => `      c${i}_${j} += a${Math.floor(i / 4)}[${i % 4}] * b${j};`).join("\n")}
    }
    workgroupBarrier();
  }
  let base = slice * p.M * p.N;
${stores.join("\n")}`;
}

/** Copies one side's tile into workgroup memory as [inner][extent], zeros beyond the ends. */
function fill(side: Side, tile: Tile, origin: string, base: string): string {
  const { name, store, along, extent, contiguousInner, wide } = side;
  const { inner } = tile;
  const step = wide ? 4 : 1;
  const fast = (contiguousInner ? inner : extent) / step;
  const [near, far] = [`(e % ${fast}u) * ${step}u`, `e / ${fast}u`];
  const [k, other] = contiguousInner ? [near, far] : [far, near];
  const flat = contiguousInner
    ? `${base} + (${origin} + other) * p.K + k0 + k`
    : `${base} + (k0 + k) * p.${along} + ${origin} + other`;
  const quads = paddedQuads(extent);
  const put = (kAt: string, value: string): string =>
    `${store}[(${kAt}) * ${quads}u + other / 4u][other % 4u] = ${value};`;
  const down = (): string => [0, 1, 2, 3].map((c) => put(`k + ${c}u`, `value[${c}]`)).join("\n      ");
  const wideWrite = contiguousInner ? down() : `${store}[k * ${quads}u + other / 4u] = value;`;
  return `    for (var e = lane; e < ${(inner * extent) / step}u; e += ${tileInvocations(tile)}u) {
      let k = ${k};
      let other = ${other};
      var value = ${wide ? "vec4<f32>()" : "0.0f"};
      if (k0 + k < end && ${origin} + other < p.${along}) { value = ${name}[(${flat})${wide ? " / 4u" : ""}]; }
      ${wide ? wideWrite : put("k", "value")}
    }`;
}

function pairs(a: number, b: number): [number, number][] {
  return Array.from({ length: a * b }, (_, at) => [Math.floor(at / b), at % b]);
}
