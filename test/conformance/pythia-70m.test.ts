import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { z } from "zod";

const report = z.object({
  parameters: z.int(),
  losses: z.array(z.number()),
  norm: z.number(),
  differing: z.int(),
  peakRssMB: z.number(),
});

describe("a checkpoint of Pythia-70m's shape, F16", () => {
  it("loads, trains at 4 x 128 tokens under 3.5 GB, saves, and loads again bit-equal", {
    timeout: 240_000,
  }, async () => {
    const script = fileURLToPath(new URL("./pythia-70m.ts", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    const result = report.parse(JSON.parse(stdout));
    expect(result.parameters).toBe(76);
    // An untrained model spreads its belief over the vocabulary: its loss is near ln V.
    expect(Math.abs((result.losses[0] ?? 0) - Math.log(50_304))).toBeLessThan(0.3);
    expect(result.losses[1]).toBeLessThan(result.losses[0] ?? 0);
    expect(result.norm).toBeGreaterThan(0);
    expect(result.differing).toBe(0);
    expect(result.peakRssMB).toBeLessThan(3500);
  });
});
