import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16, firstNonFinite } from "../../common/floats.loops.ts";
import { openSafetensors } from "./read.ts";

const fixtures = new URL("../../../test/fixtures/safetensors/", import.meta.url);
const expected: { widening: { F16: string; BF16: string } } = JSON.parse(
  readFileSync(new URL("expected.json", fixtures), "utf8"),
);

const all = Uint16Array.from({ length: 1 << 16 }, (_, bits) => bits);

/** SHA-256 of the values with one NaN for all, as the fixture's script makes it. */
function digest(values: Float32Array): string {
  const bits = Uint32Array.from(new Uint32Array(values.buffer), (b) =>
    (b & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : b,
  );
  return createHash("sha256").update(new Uint8Array(bits.buffer)).digest("hex");
}

test("every f16 value widens to what PyTorch and the formula say", () => {
  const wide = new Float32Array(1 << 16);
  f16ToF32(all, wide, 0);
  expect(digest(wide)).toBe(expected.widening.F16);
  for (const bits of all) {
    const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    const finite = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
    const value = exponent < 31 ? finite : fraction === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
    if (!Object.is(wide[bits], sign * value)) expect(wide[bits], bits.toString(16)).toBe(sign * value);
  }
});

test("every bf16 value widens to what PyTorch says, and is the upper half of its f32", () => {
  const wide = new Float32Array(1 << 16);
  bf16ToF32(all, wide, 0);
  expect(digest(wide)).toBe(expected.widening.BF16);
  expect(new Uint32Array(wide.buffer).every((bits, i) => bits === i * 65536)).toBe(true);
});

test("widening writes where it is told to, and nowhere else", () => {
  const wide = new Float32Array(5).fill(7);
  f16ToF32(Uint16Array.of(0x3c00, 0xc000), wide, 1);
  expect([...wide]).toEqual([7, 1, -2, 7, 7]);
  bf16ToF32(Uint16Array.of(0x4040), wide.subarray(3), 1);
  expect([...wide]).toEqual([7, 1, -2, 7, 3]);
});

test("every f16 and bf16 value survives the way to f32 and back bit for bit, NaN payloads included", () => {
  const wide = new Float32Array(1 << 16);
  const back = new Uint16Array(1 << 16);
  f16ToF32(all, wide, 0);
  expect(f32ToF16(wide, back)).toBe(-1);
  expect(back).toEqual(all);
  bf16ToF32(all, wide, 0);
  expect(f32ToBf16(wide, back)).toBe(-1);
  expect(back).toEqual(all);
});

test("rounding equals PyTorch's at ties, beside ties, at subnormals and at the specials", async () => {
  await using file = await openSafetensors(new URL("rounding.safetensors", fixtures).pathname);
  for (const [type, round, infinity] of [
    ["f16", f32ToF16, 0x7c00],
    ["bf16", f32ToBf16, 0x7f80],
  ] as const) {
    const values = await file.readFloat32(`in.${type}`);
    const stored = await file.readBytes(`out.${type}`);
    const python = new Uint16Array(stored.buffer);
    const ours = new Uint16Array(values.length);
    expect(values.length).toBeGreaterThan(2500);
    expect(round(values, ours)).toBe(-1);
    let nans = 0;
    ours.forEach((bits, i) => {
      if ((bits & 0x7fff) > infinity && (Number(python[i]) & 0x7fff) > infinity) nans++;
      else if (bits !== python[i]) expect([values[i], bits]).toEqual([values[i], python[i]]);
    });
    expect(nans).toBe(1);
  }
});

test("a finite value that becomes infinite is pointed at; an infinite one is not", () => {
  const out = new Uint16Array(4);
  expect(f32ToF16(Float32Array.of(65504, 65519.99, Number.NEGATIVE_INFINITY, Number.NaN), out)).toBe(-1);
  expect([...out.subarray(0, 3)]).toEqual([0x7bff, 0x7bff, 0xfc00]);
  expect(f32ToF16(Float32Array.of(1, 65520, -1e9, 0), out)).toBe(1);
  expect([...out]).toEqual([0x3c00, 0x7c00, 0xfc00, 0]);
  expect(f32ToF16(Float32Array.of(1, 2, 3, -3.4e38), out)).toBe(3);

  const largest = 3.3895313892515355e38;
  expect(f32ToBf16(Float32Array.of(largest, -largest, Number.POSITIVE_INFINITY, Number.NaN), out)).toBe(-1);
  expect(out[0]).toBe(0x7f7f);
  expect(f32ToBf16(Float32Array.of(0, 0, 3.4e38, 0), out)).toBe(2);
});

test("a NaN whose payload is cut off stays a NaN", () => {
  const nan = new Float32Array(Uint32Array.of(0x7f800001, 0xff800001).buffer);
  const out = new Uint16Array(2);
  f32ToF16(nan, out);
  expect([...out]).toEqual([0x7e00, 0xfe00]);
  f32ToBf16(nan, out);
  expect([...out]).toEqual([0x7fc0, 0xffc0]);
});

test("the first value that is not finite is found", () => {
  expect(firstNonFinite(Float32Array.of(0, -0, 3.4e38, 1e-45))).toBe(-1);
  expect(firstNonFinite(Float32Array.of(0, Number.NaN, Number.POSITIVE_INFINITY))).toBe(1);
  expect(firstNonFinite(Float32Array.of(0, 1, Number.NEGATIVE_INFINITY).subarray(1))).toBe(1);
});
