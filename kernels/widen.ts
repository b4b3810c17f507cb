/**
 * Reads of values that are held as F16 or BF16, two in each 32-bit word, the first in its low half. Widening is exact,
 * in integers: conversions of a shader's own may flush subnormals to zero.
 */
import type { ElementType } from "./wgsl.ts";

export type NarrowFloat = "f16" | "bf16";

/** The type that binds narrow values which a kernel reads as `type`; undefined where it cannot read them. */
export function narrowTypeOf(type: ElementType): ElementType | undefined {
  return narrowReads[type]?.held;
}

/** Statements that return element `place`, of `type`, from what the function `reader` reads at a place. */
export function narrowReadText(type: ElementType, reader: string, stored: NarrowFloat): string {
  return narrowReads[type]?.text(reader, functionNames[stored]) ?? "";
}

/** Declarations of the functions that these reads call. */
export function wideningText(stored: readonly (NarrowFloat | undefined)[]): string {
  return [...new Set(stored)].map((one) => (one === undefined ? "" : `${functions[one]}\n`)).join("");
}

interface NarrowRead {
  readonly held: ElementType;
  readonly text: (reader: string, widen: string) => string;
}

const both = (word: string, widen: string): string => `${widen}(${word} & 0xffffu), ${widen}(${word} >> 16u)`;

const narrowReads: { readonly [K in ElementType]?: NarrowRead } = {
  f32: {
    held: "u32",
    text: (reader, widen) => `  return ${widen}((${reader}(place / 2u) >> (16u * (place % 2u))) & 0xffffu);`,
  },
  vec2f: {
    held: "u32",
    text: (reader, widen) => `  let word = ${reader}(place);\n  return vec2f(${both("word", widen)});`,
  },
  vec4f: {
    held: "vec2u",
    text: (reader, widen) =>
      `  let words = ${reader}(place);\n  return vec4f(${both("words.x", widen)}, ${both("words.y", widen)});`,
  },
};

const functionNames = { f16: "widenF16", bf16: "widenBf16" } as const;

const functions: { readonly [K in NarrowFloat]: string } = {
  bf16: "fn widenBf16(bits: u32) -> f32 { return bitcast<f32>(bits << 16u); }",
  // Exponents move by 127 - 15; those of infinity and NaN by as much again. A subnormal is its integer times 2^-24.
  f16: `
fn widenF16(bits: u32) -> f32 {
  let magnitude = bits & 0x7fffu;
  let normal = (magnitude << 13u) + 0x38000000u;
  let subnormal = bitcast<u32>(f32(magnitude) * 0x1p-24f);
  let finite = select(normal, subnormal, magnitude < 0x400u);
  let wide = select(finite, normal + 0x38000000u, magnitude >= 0x7c00u);
  return bitcast<f32>(wide | ((bits & 0x8000u) << 16u));
}`,
};
