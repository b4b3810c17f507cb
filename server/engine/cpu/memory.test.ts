import { expect, it } from "vitest";
import * as ops from "../ops.ts";
import { createCpuDevice } from "./device.ts";
import { runtimeKinds } from "./runtime.ts";

it.each(runtimeKinds)("a program needs no more memory in its second run than in its first: %s", async (runtime) => {
  const device = await createCpuDevice({ threads: 1, runtime });
  // Intermediate results of 32 MiB each, several of which live at once, as those of a head do.
  const [rows, inner, wide] = [512, 8, 16_384] as const;
  const product = ops.matmul(ops.input("x", [rows, inner]), ops.input("w", [inner, wide]));
  const both = ops.mul(ops.logSoftmax(product), ops.gelu(product));
  const program = await device.compile({ stores: [], outputs: { sums: ops.sum(both, { axes: [1] }) } });
  const inputs = { x: new Float32Array(rows * inner).fill(0.5), w: new Float32Array(inner * wide).fill(0.25) };
  const resident: number[] = [];
  for (let run = 0; run < 3; run++) {
    await program.run(inputs);
    resident.push(process.memoryUsage.rss() / 2 ** 20);
  }
  await device.close();
  const [first = Number.NaN, , third = Number.NaN] = resident;
  expect(third - first).toBeLessThan(24);
});
