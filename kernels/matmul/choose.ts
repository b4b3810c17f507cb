/** Chooses a product's kernel: a variant measured on the adapter if there is one, else by a table over shapes. */

import { type FactorPrecision, type MatrixTile, tileExtents } from "./matrices.ts";
import type { MatrixConfig } from "./matrix-text.ts";
import { flattened, type MatmulShape } from "./shape.ts";
import type { Tile } from "./tiled.ts";
import { fits, type MatmulAdapter, type Variant } from "./variants.ts";

/**
 * Precision of a product's factors. `f32`: full. `split`: 22 bits, where matrices of halves are faster than f32.
 * `half`: 11 bits, as in mixed-precision training. Without such matrices all three are f32. Sums are always in f32.
 */
export const precisions = ["f32", "split", "half"] as const;
export type Precision = (typeof precisions)[number];

/** Variants that were measured to be faster than the table's, by `shapeClass`. */
export type Tuned = Readonly<Record<string, Variant>>;

/** The variant for a product: a tuned one if the adapter can run it, else the table's. */
export function chooseVariant(
  given: MatmulShape,
  adapter: MatmulAdapter,
  precision: Precision,
  tuned: Tuned = {},
): Variant {
  const shape = flattened(given);
  const measured = tuned[shapeClass(shape, precision)];
  if (measured !== undefined && fits(measured, adapter)) return measured;
  return matricesChoice(shape, adapter, precision) ?? tilesChoice(shape, adapter);
}

/**
 * The class of a shape, for which one variant is tuned: extents by powers of two, since speed hardly depends on more.
 */
export function shapeClass(shape: MatmulShape, precision: Precision): string {
  const { batch, M, N, K, transA, transB } = flattened(shape);
  const near = (extent: number): number => 2 ** Math.round(Math.log2(extent));
  return `${precision} ${transA ? "t" : "n"}${transB ? "t" : "n"} ${near(batch)}x${near(M)}x${near(N)}x${near(K)}`;
}

/** Candidate variants to measure for a product on an adapter; the table's own choice comes first. */
export function candidates(given: MatmulShape, adapter: MatmulAdapter, precision: Precision): Variant[] {
  const shape = flattened(given);
  const first = chooseVariant(shape, adapter, precision);
  const tiles = Object.values(tileTable).map((tile): Variant => ({ kind: "tiles", tile, splits: 1 }));
  const matrices = matrixVariants(adapter, precision);
  const all = [...tiles, ...matrices].flatMap((variant) =>
    [1, 2, 4, 8]
      .filter((splits) => splits === 1 || worthSplitting(shape, variant, splits))
      .map((splits) => ({ ...variant, splits })),
  );
  const seen = new Set<string>();
  return [first, ...all].filter((variant) => {
    const key = JSON.stringify(variant);
    const fresh = !seen.has(key) && fits(variant, adapter);
    seen.add(key);
    return fresh;
  });
}

const tile = (rows: number, columns: number, inner: number, perRow: number, perColumn: number): Tile => ({
  rows,
  columns,
  inner,
  perRow,
  perColumn,
});

/** After section 3 of the engine notes; none of it measured on a GPU yet. */
const tileTable = {
  large: tile(128, 128, 8, 8, 8),
  tall: tile(128, 64, 16, 8, 4),
  middle: tile(64, 64, 16, 8, 4),
  fine: tile(64, 64, 16, 4, 4),
  small: tile(32, 32, 16, 4, 4),
  fewRows: tile(16, 64, 32, 4, 4),
  fewColumns: tile(64, 16, 32, 4, 4),
} as const;

/**
 * Workgroups that keep a GPU busy: about two for each of a card's 50 to 150 multiprocessors, whose number WebGPU does
 * not report; half as many with matrices, whose groups do more work each.
 */
const busyGroups = { tiles: 256, matrices: 128 } as const;
const mostSplits = 16;
/** Minimum inner extent of a split. */
const leastPart = 256;
/** Maximum elements of all partial results of a split product: 256 MB. */
const mostParts = 2 ** 26;

function tilesChoice(shape: MatmulShape, adapter: MatmulAdapter): Variant {
  const { M, N } = shape;
  if (adapter.software) return { kind: "tiles", tile: tileTable.small, splits: 1 };
  const usable = [tileTable.large, tileTable.middle].filter(
    (each) => M >= each.rows && N >= each.columns && fits({ kind: "tiles", tile: each, splits: 1 }, adapter),
  );
  const busy = usable.find((each) => groupsOf(shape, each.rows, each.columns) >= busyGroups.tiles);
  const few = M <= 16 ? tileTable.fewRows : N <= 16 ? tileTable.fewColumns : undefined;
  const chosen = busy ?? few ?? usable.at(-1) ?? tileTable.small;
  return {
    kind: "tiles",
    tile: chosen,
    splits: splitsFor(shape, groupsOf(shape, chosen.rows, chosen.columns), busyGroups.tiles),
  };
}

function matricesChoice(shape: MatmulShape, adapter: MatmulAdapter, precision: Precision): Variant | undefined {
  const { M, N, K } = shape;
  if (Math.min(M, N, K) < 32) return undefined;
  const variants = matrixVariants(adapter, precision).filter((variant) => fits(variant, adapter));
  const extents = variants.map((variant) => ({ variant, extents: tileExtents(variant.tile) }));
  const busy = extents.find(({ extents: [rows, columns] }) => groupsOf(shape, rows, columns) >= busyGroups.matrices);
  const chosen = busy ?? extents.at(-1);
  if (chosen === undefined) return undefined;
  return { ...chosen.variant, splits: splitsFor(shape, groupsOf(shape, ...chosen.extents), busyGroups.matrices) };
}

type MatrixVariant = Variant & { readonly kind: "matrices" };

/** Matrix variants, from the largest tile to the smallest. */
function matrixVariants(adapter: MatmulAdapter, precision: Precision): MatrixVariant[] {
  const config = bestConfig(adapter, precision);
  const { subgroups } = adapter;
  if (config === undefined || subgroups === undefined) return [];
  const pinned = subgroups.min !== subgroups.max;
  const subgroupSize = pinned ? Math.min(Math.max(32, subgroups.min), subgroups.max) : subgroups.max;
  const factors: FactorPrecision = config.componentType === "f32" ? "f32" : precision === "half" ? "half" : "split";
  const sizes = [
    [64, 64, 32],
    [64, 64, 16],
    [64, 32, 32],
    [32, 32, 32],
  ] as const;
  return sizes.map(([down, across, inner]) => {
    const fragments = [Math.max(1, down / config.M), Math.max(1, across / config.N)] as const;
    const own: MatrixTile = { config, subgroups: [2, 2], fragments, inner, subgroupSize, pinned };
    return { kind: "matrices", tile: own, precision: factors, splits: 1 };
  });
}

/**
 * The best configuration with sums in f32: halves if the precision allows, then the largest, which needs fewest
 * loads.
 */
function bestConfig(adapter: MatmulAdapter, precision: Precision): MatrixConfig | undefined {
  const usable = adapter.matrices.filter(
    ({ componentType, resultComponentType, M, N, K }) =>
      (componentType === "f32" || (componentType === "f16" && precision !== "f32")) &&
      resultComponentType === "f32" &&
      [M, N].every((x) => 32 % x === 0) &&
      16 % K === 0,
  );
  const size = ({ componentType, M, N, K }: MatrixConfig): number => (componentType === "f16" ? 1e6 : 1) * M * N * K;
  return usable.toSorted((a, b) => size(b) - size(a))[0];
}

function groupsOf({ batch, M, N }: MatmulShape, rows: number, columns: number): number {
  return batch * Math.ceil(M / rows) * Math.ceil(N / columns);
}

/** The number of splits of the inner extent that gives enough workgroups to keep a GPU busy. */
function splitsFor(shape: MatmulShape, groups: number, busy: number): number {
  const wanted = Math.floor(busy / groups);
  const room = Math.floor(mostParts / (shape.batch * shape.M * shape.N));
  return Math.max(1, Math.min(wanted, mostSplits, Math.floor(shape.K / leastPart), room));
}

function worthSplitting(shape: MatmulShape, variant: Variant, splits: number): boolean {
  const { kind, tile } = variant;
  const [rows, columns] = kind === "tiles" ? [tile.rows, tile.columns] : tileExtents(tile);
  return (
    groupsOf(shape, rows, columns) * splits <= 4 * busyGroups[kind] &&
    shape.K / splits >= leastPart / 2 &&
    splits * shape.batch * shape.M * shape.N <= mostParts
  );
}
