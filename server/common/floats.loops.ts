/**
 * Bitwise conversions between f32 and the two half-precision formats, which preserve subnormals, infinities and the
 * payloads of NaNs exactly. Rounding is to nearest, ties to even (IEEE 754), as in PyTorch.
 */

/** Widens f16 values into `target` from index `at` on. */
export function f16ToF32(source: Uint16Array, target: Float32Array, at: number): void {
  f32BitsOfF16 ??= Uint32Array.from({ length: 1 << 16 }, (_, half) => widenedF16(half));
  const table = f32BitsOfF16;
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[at + i] = table[source[i]!]!;
}

/** Widens bf16 values into `target` from index `at` on. */
export function bf16ToF32(source: Uint16Array, target: Float32Array, at: number): void {
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[at + i] = source[i]! << 16;
}

/** Rounds to f16. Returns the index of the first finite value that became infinite, or -1. */
export function f32ToF16(source: Float32Array, target: Uint16Array): number {
  const bits = bitsOf(source);
  let overflow = -1;
  for (let i = 0; i < bits.length; i++) {
    const half = roundedToF16(bits[i]!);
    target[i] = half;
    if ((half & 0x7fff) === 0x7c00 && overflow < 0 && (bits[i]! & F32_EXPONENT) !== F32_EXPONENT) overflow = i;
  }
  return overflow;
}

/** Rounds to bf16. Returns the index of the first finite value that became infinite, or -1. */
export function f32ToBf16(source: Float32Array, target: Uint16Array): number {
  const bits = bitsOf(source);
  let overflow = -1;
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    if ((value & 0x7fffffff) > F32_EXPONENT) {
      // The quiet bit: without it, a NaN whose payload is cut off would become an infinity.
      const cut = value >>> 16;
      target[i] = cut & 0x7f ? cut : cut | 0x40;
      continue;
    }
    const rounded = (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
    target[i] = rounded;
    if ((rounded & 0x7fff) === 0x7f80 && overflow < 0 && (value & F32_EXPONENT) !== F32_EXPONENT) overflow = i;
  }
  return overflow;
}

/** The index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & F32_EXPONENT) === F32_EXPONENT) return i;
  return -1;
}

/** As `firstNonFinite`, for the bits of f16 or bf16 values. */
export function firstNonFiniteHalf(values: Uint16Array, stored: "f16" | "bf16"): number {
  const exponent = stored === "f16" ? 0x7c00 : 0x7f80;
  for (let i = 0; i < values.length; i++) if ((values[i]! & exponent) === exponent) return i;
  return -1;
}

const F32_EXPONENT = 0x7f800000;

let f32BitsOfF16: Uint32Array | undefined;

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

function widenedF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  let fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | F32_EXPONENT | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // A subnormal: shift its leading one to where f32 leaves it out.
  const shift = Math.clz32(fraction) - 21;
  fraction = (fraction << shift) & 0x3ff;
  return sign | ((113 - shift) << 23) | (fraction << 13);
}

function roundedToF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > F32_EXPONENT) {
    const payload = (magnitude >>> 13) & 0x3ff;
    return sign | 0x7c00 | (payload === 0 ? 0x200 : payload);
  }
  // From 65520 on, the halfway point above the largest f16, everything rounds to infinity.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // From 2^-14 on the result is normal; a carry out of the fraction rightly raises the exponent.
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  // Up to 2^-25, half of the smallest subnormal, everything rounds to zero.
  if (magnitude <= 0x33000000) return sign;
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - (magnitude >>> 23);
  const kept = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}
