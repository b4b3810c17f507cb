/** Frequencies of rotary positions: how far a place turns each pair of a head's dimensions. */
import type { OpAttrs, RotaryScaling } from "./graph.ts";

/** Radians per position of each pair, [rotaryDims / 2]. */
export function rotaryFrequencies({
  rotaryDims,
  base,
  scaling,
}: Pick<OpAttrs["rotary"], "rotaryDims" | "base" | "scaling">): Float64Array {
  return Float64Array.from({ length: rotaryDims / 2 }, (_, pair) => {
    const plain = base ** ((-2 * pair) / rotaryDims);
    return scaling === undefined ? plain : scaled(plain, scaling);
  });
}

/** Identifies the table of angles: equal for operators that can share one. */
export function rotaryTableName({ rotaryDims, base, maxPositions, scaling }: OpAttrs["rotary"]): string {
  const stretched = scaling === undefined ? "" : ` ${Object.values(scaling).join(" ")}`;
  return `rotary ${rotaryDims} ${base} ${maxPositions}${stretched}`;
}

function scaled(frequency: number, { factor, lowFactor, highFactor, originalPositions }: RotaryScaling): number {
  const turns = (originalPositions * frequency) / (2 * Math.PI);
  const kept = Math.min(1, Math.max(0, (turns - lowFactor) / (highFactor - lowFactor)));
  return kept * frequency + ((1 - kept) * frequency) / factor;
}
