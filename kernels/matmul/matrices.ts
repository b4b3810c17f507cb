/**
 * Products with subgroup matrices ("tensor cores"): a workgroup computes a tile of y, each of its subgroups some
 * fragments of that, [M, N] of the adapter's configuration each, from halves in workgroup memory and with sums in f32.
 * Uses the builtins of chromium_experimental_subgroup_matrix as in Dawn since June 2026 (majorness as a template
 * argument).
 *
 * Halves hold 11 bits over 2^-24 to 2^16, and gradients are often smaller than that. So both factors are first scaled
 * to a common range by powers of two (`halfScaleLaunches`), and the result is scaled back. `split` keeps each
 * factor's rounding remainder as a second half: (a + a')(b + b') without a'b' is three products, accurate to about
 * 2^-21 of the terms, nearly as good as f32.
 */
import { defineKernel, type ElementType, type Launch, plainFragment } from "../wgsl.ts";
import { finishText, storeBinding, tileGrid, tileParams, tileStart } from "./finish.ts";
import { type MatrixConfig, type MatrixText, type Operand, subgroupMatrices } from "./matrix-text.ts";
import type { Finish, MatmulShape } from "./shape.ts";

/** The layout of a workgroup's tile. */
export interface MatrixTile {
  readonly config: MatrixConfig;
  /** Subgroups per workgroup: down the rows of y and across its columns. */
  readonly subgroups: readonly [down: number, across: number];
  /** Fragments per subgroup. */
  readonly fragments: readonly [down: number, across: number];
  /** Inner extent in workgroup memory at a time: a multiple of 4 and of the configuration's K. */
  readonly inner: number;
  readonly subgroupSize: number;
  /** Whether to request this subgroup size, because the adapter has several. */
  readonly pinned: boolean;
}

/** Precision of the factors: full f32 (where the adapter has f32 matrices), 11 bits, or 22. */
export type FactorPrecision = "f32" | "half" | "split";

export interface MatricesOptions extends Finish {
  readonly tile: MatrixTile;
  readonly precision: FactorPrecision;
  readonly splits: number;
  /** The WGSL of matrices; replaced by an emulation where an adapter has none. */
  readonly text?: MatrixText;
}

/** Bindings: a, b, scales [2] unless in f32, what the epilogue binds, then y, or `parts` with splits. */
export function matricesLaunch(shape: MatmulShape, options: MatricesOptions): Launch {
  const [rows, columns] = tileExtents(options.tile);
  const { mostBytes = Number.POSITIVE_INFINITY, splits } = options;
  const bound = 4 * splits * shape.batch * shape.M * shape.N <= mostBytes;
  const kernel = matricesKernel(shape, options, bound && shape.M % rows === 0 && shape.N % columns === 0);
  return { kernel, ...tileGrid(shape, { rows, columns, inner: options.tile.inner }, options.splits) };
}

export function tileExtents({ config, subgroups, fragments }: MatrixTile): [rows: number, columns: number] {
  return [subgroups[0] * fragments[0] * config.M, subgroups[1] * fragments[1] * config.N];
}

export const matrixInvocations = ({ subgroups, subgroupSize }: MatrixTile): number =>
  subgroups[0] * subgroups[1] * subgroupSize;

/** Bytes of workgroup memory, enough for either layout of the factors. */
export function matrixStorage(tile: MatrixTile, precision: FactorPrecision): number {
  const bytes = { f32: 4, half: 2, split: 4 }[precision];
  const side = (extent: number): number => bytes * Math.max(extent * (tile.inner + pad), tile.inner * (extent + pad));
  const [rows, columns] = tileExtents(tile);
  const staging = 4 * tile.config.M * tile.config.N * tile.subgroups[0] * tile.subgroups[1];
  return side(rows) + side(columns) + staging;
}

/** Padding after each line in workgroup memory, in elements, so that lines start in different banks. */
const pad = 8;

interface Side {
  readonly name: "a" | "b";
  readonly along: "M" | "N";
  /** Whether lines in workgroup memory, which lie as in global memory, run along the inner axis, not the other one. */
  readonly alongInner: boolean;
  readonly lines: number;
  readonly length: number;
  readonly wide: boolean;
}

/** `whole`: y fits one binding and consists of whole tiles. */
function matricesKernel({ transA, transB, M, N, K }: MatmulShape, options: MatricesOptions, whole: boolean) {
  const { tile, precision, splits, accumulate, epilogue, text = subgroupMatrices(tile.config, tile.pinned) } = options;
  const [rows, columns] = tileExtents(tile);
  const side = (name: "a" | "b", alongInner: boolean, extent: number): Side => ({
    name,
    along: name === "a" ? "M" : "N",
    alongInner,
    lines: alongInner ? extent : tile.inner,
    length: alongInner ? tile.inner : extent,
    wide: (alongInner ? K : name === "a" ? M : N) % 4 === 0,
  });
  const [left, right] = [side("a", !transA, rows), side("b", transB, columns)];
  const element: ElementType = "f32";
  const direct = whole && (splits > 1 || (epilogue === plainFragment && !accumulate));
  const finish = finishText(options, "single");
  const stores = [left, right].flatMap(({ name, lines, length }) =>
    layersOf(precision).map(
      (layer) => `var<workgroup> ${name}${layer}: array<vec4<${text.component}>, ${(lines * (length + pad)) / 4}>;`,
    ),
  );
  const staging = tile.config.M * tile.config.N;
  const names = { f32: "f32", half: "f16", split: "2xf16" }[precision];
  return defineKernel({
    name: `matmul ${transA ? "At" : "A"} ${transB ? "Bt" : "B"} ${rows}x${columns}x${tile.inner} ${names} matrices`,
    enables: text.enables,
    builtins: text.builtins,
    attributes: text.attributes(tile.subgroupSize),
    bindings: [
      { name: "a", type: left.wide ? "vec4f" : element, access: "read" },
      { name: "b", type: right.wide ? "vec4f" : element, access: "read" },
      ...(precision === "f32" ? [] : [{ name: "scales", type: "f32", access: "read" } as const]),
      ...(direct ? [] : finish.bindings),
      storeBinding(splits, "f32"),
    ],
    params: tileParams,
    size: matrixInvocations(tile),
    declarations: `
${stores.join("\n")}
${direct ? "" : `var<workgroup> staging: array<f32, ${staging * tile.subgroups[0] * tile.subgroups[1]}>;${finish.declarations}`}
${precision === "split" ? keep11Bits : ""}
${text.declarations}`,
    body: body({ options, text, left, right, direct }),
  });
}

/** Names of a factor's arrays in workgroup memory: its halves, and with `split` the rounding remainders. */
function layersOf(precision: FactorPrecision): readonly string[] {
  return precision === "split" ? ["High", "Low"] : ["High"];
}

/**
 * Rounds to the nearest number of 11 bits, ties to even. In integers, because compilers may optimise away a
 * conversion to halves and back (Mesa's do), and so take the remainder for zero.
 */
const keep11Bits = `
fn keep11Bits(value: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(value);
  return bitcast<vec4f>((bits + vec4u(0xfffu) + ((bits >> vec4u(13u)) & vec4u(1u))) & vec4u(0xffffe000u));
}`;

interface Parts {
  readonly options: MatricesOptions;
  readonly text: MatrixText;
  readonly left: Side;
  readonly right: Side;
  readonly direct: boolean;
}

function body({ options, text, left, right, direct }: Parts): string {
  const { tile, precision, splits } = options;
  const [rows, columns] = tileExtents(tile);
  const [down, across] = tile.fragments;
  const each = pairs(down, across);
  const size = matrixInvocations(tile);
  const scaled = precision !== "f32";
  return `
${tileStart(rows, columns)}
${scaled ? "  let scaleA = scales[0];\n  let scaleB = scales[1];" : ""}
  let subgroup = ${text.subgroup(tile.subgroupSize)};
  let ownRow = subgroup / ${tile.subgroups[1]}u * ${down * tile.config.M}u;
  let ownColumn = subgroup % ${tile.subgroups[1]}u * ${across * tile.config.N}u;
${each.map(([i, j]) => text.zero(`c${i}_${j}`)).join("\n")}
  for (var k0 = begin; k0 < end; k0 += ${tile.inner}u) {
${fill(left, "row0", "baseA", size, options, text)}
${fill(right, "column0", "baseB", size, options, text)}
    workgroupBarrier();
    for (var kk = 0u; kk < ${tile.inner}u; kk += ${tile.config.K}u) {
${multiply(tile, precision, left, right, text)}
    }
    workgroupBarrier();
  }
  let base = slice * p.M * p.N;
  let factor = p.alpha${scaled ? " / scaleA / scaleB" : ""};
${each.map(([i, j]) => store(tile, i, j, text, direct, splits > 1 ? "parts" : "y")).join("\n")}`;
}

/** Copies one factor's tile into workgroup memory, zeros beyond the ends. */
function fill(
  side: Side,
  origin: string,
  base: string,
  size: number,
  { precision }: MatricesOptions,
  text: MatrixText,
): string {
  const { name, along, alongInner, lines, length, wide } = side;
  const quads = length / 4;
  const [k, other] = alongInner ? ["near", "line"] : ["line", "near"];
  const flat = alongInner
    ? `${base} + (${origin} + other) * p.K + k0 + k`
    : `${base} + (k0 + k) * p.${along} + ${origin} + other`;
  const inside = (step: number): string =>
    alongInner
      ? `k0 + k + ${step}u < end && ${origin} + other < p.${along}`
      : `k0 + k < end && ${origin} + other + ${step}u < p.${along}`;
  const loads = wide
    ? `      if (${inside(0)}) { value = ${name}[(${flat}) / 4u]; }`
    : [0, 1, 2, 3]
        .map((step) => `      if (${inside(step)}) { value[${step}] = ${name}[${flat} + ${step}u]; }`)
        .join("\n");
  const half = `vec4<${text.component}>`;
  const [high, low] =
    precision === "split" ? ["keep11Bits(value)", `\n      ${name}Low[place] = ${half}(value - high);`] : ["value", ""];
  return `    for (var e = lane; e < ${lines * quads}u; e += ${size}u) {
      let line = e / ${quads}u;
      let near = e % ${quads}u * 4u;
      let k = ${k};
      let other = ${other};
      var value = vec4<f32>();
${loads}
${precision === "f32" ? "" : `      value *= scale${name === "a" ? "A" : "B"};\n`}      let place = line * ${(length + pad) / 4}u + near / 4u;
      let high = ${high};
      ${name}High[place] = ${half}(high);${low}
    }`;
}

/** One step along the inner axis: loads a subgroup's row and column fragments and multiplies all pairs. */
function multiply(tile: MatrixTile, precision: FactorPrecision, left: Side, right: Side, text: MatrixText): string {
  const [down, across] = tile.fragments;
  const layers = layersOf(precision);
  const operand = (side: Side, layer: string, at: number): Operand => {
    const extent = side.name === "a" ? tile.config.M : tile.config.N;
    const own = `(own${side.name === "a" ? "Row" : "Column"} + ${at * extent}u)`;
    const stride = (side.length + pad) / 4;
    const offset = side.alongInner ? `${own} * ${stride}u + kk / 4u` : `kk * ${stride}u + ${own} / 4u`;
    // A's lines are rows if they run along the inner axis, B's if they do not.
    const rowMajor = side.alongInner === (side.name === "a");
    return { name: `${side.name}${layer}${at}`, store: `${side.name}${layer}`, offset, stride, rowMajor };
  };
  const lefts = layers.map((layer) => range(down).map((i) => operand(left, layer, i)));
  const rights = layers.map((layer) => range(across).map((j) => operand(right, layer, j)));
  // Product of the high halves; then each high half with the other's low.
  const products =
    precision === "split"
      ? [
          [0, 0],
          [0, 1],
          [1, 0],
        ]
      : [[0, 0]];
  const steps = products.flatMap(([a = 0, b = 0]) =>
    pairs(down, across).flatMap(([i, j]) => {
      const [one, two] = [lefts[a]?.[i], rights[b]?.[j]];
      return one === undefined || two === undefined ? [] : [text.multiplyAdd(`c${i}_${j}`, one, two)];
    }),
  );
  return [...lefts.flat().map(text.loadLeft), ...rights.flat().map(text.loadRight), ...steps].join("\n");
}

/**
 * Stores a fragment: directly where the tile cannot cross an edge and nothing is added, else through workgroup
 * memory.
 */
function store(tile: MatrixTile, i: number, j: number, text: MatrixText, direct: boolean, target: string): string {
  const { config, subgroupSize } = tile;
  const [row, column] = [`row0 + ownRow + ${i * config.M}u`, `column0 + ownColumn + ${j * config.N}u`];
  const scaled = text.scale(`c${i}_${j}`, "factor");
  if (direct) return `${scaled}\n${text.store(target, `base + (${row}) * p.N + ${column}`, `c${i}_${j}`, "p.N")}`;
  const area = config.M * config.N;
  return `${scaled}
${text.store("staging", `subgroup * ${area}u`, `c${i}_${j}`, `${config.N}u`)}
  workgroupBarrier();
  for (var e = lane % ${subgroupSize}u; e < ${area}u; e += ${subgroupSize}u) {
    placeOne(staging[subgroup * ${area}u + e], ${row} + e / ${config.N}u, ${column} + e % ${config.N}u, base);
  }
  workgroupBarrier();`;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at);
}

function pairs(a: number, b: number): [number, number][] {
  return Array.from({ length: a * b }, (_, at) => [Math.floor(at / b), at % b]);
}
