import { describe, expect, it } from "vitest";
import { growthTable, rowOf, type Sizes, sizesOf, workTable } from "../bench/growth-table.ts";

/** Operations of a product [m, k] x [k, n]. */
const product = (m: number, k: number, n: number): number => 2 * m * k * n;
const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0);

/** A forward pass without the head, product by product: rows of T tokens. */
function forwardByHand({ tokens: N, layers: L, width: W, context: T }: Sizes): number {
  const weights = [product(N, W, 3 * W), product(N, W, W), product(N, W, 4 * W), product(N, 4 * W, W)];
  // Each head's scores [T, T] and its weighted values, over all rows: W numbers of all heads together.
  const attention = [(N / T) * product(T, W, T), (N / T) * product(T, T, W)];
  return L * sum([...weights, ...attention]);
}

const figures = (seconds: number, cpuSeconds: number, megabytes: number) => ({ seconds, cpuSeconds, megabytes });

describe("the table of cost growth", () => {
  it("counts the arithmetic of training and of autoencoders as their products do", () => {
    const train = sizesOf("train", "context", 2);
    const head = product(train.tokens, train.width, 4096);
    expect(workTable.train.flops(train)).toBe(3 * (forwardByHand(train) + head));
    const sae = sizesOf("sae", "features", 4);
    const { tokens: N, width: W, features: F } = sae;
    const one = sum([product(N, W, F), product(N, F, W), product(W, N, F), product(F, N, W), product(N, W, F)]);
    expect(workTable.sae.flops(sae)).toBe(forwardByHand(sae) + 2 * one);
  });

  it("counts every pair of a token's active features in a reading", () => {
    const one = { tokens: 1, layers: 1, width: 1, features: 100, context: 1 };
    const active = 19;
    let pairs = 0;
    for (let i = 0; i < active; i++) for (let j = 0; j < i; j++) pairs += 1;
    const familiarity = workTable.read.flops(one) - forwardByHand({ ...one, context: 2 }) - product(1, 1, 100);
    // A pair is a product and a sum; the diagonal and the square of each are left to rounding.
    expect(Math.abs(familiarity - (2 * pairs + active))).toBeLessThan(1e-6);
  });

  it("names what grows faster than the arithmetic, by CPU time", () => {
    const base = figures(1, 1, 100);
    const step = { dimension: "tokens", times: 2 } as const;
    const calm = rowOf("train", step, base, figures(9, 2.2, 150));
    expect(calm).toMatchObject({ arithmetic: 2, time: 9, cpuTime: 2.2, memory: 1.5, growsFaster: [] });
    expect(rowOf("train", step, base, figures(2, 2.6, 150)).growsFaster).toEqual(["time"]);
    expect(rowOf("train", step, base, figures(2, 2, 260)).growsFaster).toEqual(["memory"]);
    expect(growthTable([calm]).split("\n")[2]).toBe(
      "| train | 512 tokens | 2 | 2.00 | 2.20 | 9.00 | 1.50 | 150 | no |",
    );
  });
});
