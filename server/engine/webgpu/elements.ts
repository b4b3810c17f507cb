/** Per-element formulas of operators that move, gather or rotate elements. */
import { type Node, type NodeOf, type OpKind, type Shape, sizeOf } from "../graph.ts";
import { rotaryFrequencies, rotaryTableName } from "../rotary.ts";
import type { FragmentBuilder, Place } from "./fragment-builder.ts";
import type { Lowering } from "./lowering-types.ts";

/** The operands' elements that broadcast to the node's element. */
export function operands<K extends OpKind>(node: NodeOf<K>, place: Place, builder: FragmentBuilder): string[] {
  return node.inputs.map((input) => builder.load(input, builder.broadcast(place, input.shape)));
}

export function broadcastTo(node: NodeOf<"broadcastTo">, place: Place, builder: FragmentBuilder): string {
  return operands(node, place, builder)[0] ?? "";
}

/** Keeps the row-major index: a reshape does not change the order of elements. */
export function reshape({ inputs }: NodeOf<"reshape">, place: Place, builder: FragmentBuilder): string {
  const x = need(inputs[0]);
  return builder.load(x, { shape: x.shape, linear: builder.linear(place), coordinates: undefined });
}

export function transpose({ inputs, attrs }: NodeOf<"transpose">, place: Place, builder: FragmentBuilder): string {
  const x = need(inputs[0]);
  const given = builder.coordinates(place);
  const coordinates = x.shape.map((_, axis) => given[attrs.perm.indexOf(axis)] ?? "0u");
  return builder.load(x, at(x.shape, coordinates));
}

export function slice({ inputs, attrs }: NodeOf<"slice">, place: Place, builder: FragmentBuilder): string {
  const x = need(inputs[0]);
  const { axis, start } = attrs;
  const coordinates = builder.coordinates(place);
  if (start === 0) return builder.load(x, at(x.shape, coordinates));
  const moved = builder.name(`${coordinates[axis]} + ${builder.extent(start)}`);
  return builder.load(x, at(x.shape, coordinates.with(axis, moved)));
}

/** Zero outside the operand; the discarded read there is clamped to the nearest valid index. */
export function pad({ inputs, attrs }: NodeOf<"pad">, place: Place, builder: FragmentBuilder): string {
  const x = need(inputs[0]);
  const { axis, before } = attrs;
  const extent = x.shape[axis] ?? 1;
  const coordinates = builder.coordinates(place);
  const own = coordinates[axis] ?? "0u";
  const [first, end] = [builder.extent(before), builder.extent(before + extent)];
  const nearest = builder.name(`clamp(${own}, ${first}, ${end} - 1u) - ${first}`);
  const value = builder.load(x, at(x.shape, coordinates.with(axis, nearest)));
  return `select(0.0f, ${value}, ${own} >= ${first} && ${own} < ${end})`;
}

/** (table [V, D], ids [...]) -> table[ids[...], d] */
export function embedding({ inputs }: NodeOf<"embedding">, place: Place, builder: FragmentBuilder): string {
  const [table, ids] = [need(inputs[0]), need(inputs[1])];
  const coordinates = builder.coordinates(place);
  const id = builder.load(ids, at(ids.shape, coordinates.slice(0, -1)));
  const row = builder.name(`u32(${id})`);
  return builder.load(table, at(table.shape, [row, coordinates.at(-1) ?? "0u"]));
}

/** (x [N, V], ids [N, K]) -> x[n, ids[n, k]] */
export function gatherRow({ inputs }: NodeOf<"gatherRow">, place: Place, builder: FragmentBuilder): string {
  const [x, ids] = [need(inputs[0]), need(inputs[1])];
  const id = builder.name(`u32(${builder.load(ids, place)})`);
  return builder.load(x, at(x.shape, [builder.coordinates(place)[0] ?? "0u", id]));
}

/**
 * x [B, T, H, D]: rotates the pair (d, d + half) by position times its frequency. Sines and cosines come from a
 * table computed in double precision, because WGSL guarantees them only to 2^-11.
 */
export function rotary(node: NodeOf<"rotary">, place: Place, builder: FragmentBuilder, lowering: Lowering): string {
  const { rotaryDims, inverse } = node.attrs;
  const [x, positions] = [need(node.inputs[0]), need(node.inputs[1])];
  const half = rotaryDims / 2;
  const D = x.shape.at(-1) ?? 0;
  const [b = "0u", t = "0u", h = "0u", d = "0u"] = builder.coordinates(place);
  const table = lowering.constant(rotaryTableName(node.attrs), () => angles(node.attrs));
  const position = builder.name(`u32(${builder.load(positions, at(positions.shape, [b, t]))})`);
  const pair = builder.name(`(${position} * ${half}u + ${d} % ${half}u) * 2u`);
  const cosine = builder.read(table, pair);
  const sine = builder.read(table, `${pair} + 1u`);
  const isFirst = builder.name(`${d} < ${half}u`);
  // Dimensions that are not rotated read themselves.
  const partner = builder.name(
    rotaryDims === D
      ? `select(${d} - ${half}u, ${d} + ${half}u, ${isFirst})`
      : `select(select(${d}, ${d} - ${half}u, ${d} < ${rotaryDims}u), ${d} + ${half}u, ${isFirst})`,
  );
  const own = builder.load(x, place);
  const other = builder.load(x, at(x.shape, [b, t, h, partner]));
  const turned = builder.name(
    `${own} * ${cosine} + ${other} * ${sine} * select(1.0f, -1.0f, ${inverse ? "!" : ""}${isFirst})`,
  );
  return rotaryDims === D ? turned : `select(${own}, ${turned}, ${d} < ${rotaryDims}u)`;
}

/** [maxPositions, rotaryDims / 2, 2]: cosine and sine. */
function angles(attrs: NodeOf<"rotary">["attrs"]): Float32Array {
  const { rotaryDims, maxPositions } = attrs;
  const table = new Float32Array(maxPositions * rotaryDims);
  const frequencies = rotaryFrequencies(attrs);
  const half = frequencies.length;
  for (let position = 0; position < maxPositions; position++) {
    for (const [d, frequency] of frequencies.entries()) {
      const angle = position * frequency;
      table.set([Math.cos(angle), Math.sin(angle)], 2 * (position * half + d));
    }
  }
  return table;
}

function at(shape: Shape, coordinates: readonly string[]): Place {
  if (sizeOf(shape) === 1) return { shape, linear: "0u", coordinates: undefined };
  return { shape, linear: undefined, coordinates: coordinates.map((c, axis) => (shape[axis] === 1 ? "0u" : c)) };
}

function need(node: Node | undefined): Node {
  if (node === undefined) throw new TypeError("a lowering rule read an operand that its shape rule does not have");
  return node;
}
