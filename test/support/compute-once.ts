/** A process of its own for tests: opens the CPU device, computes one product of which ONNX Runtime does the work, and prints it. */
import { createCpuDevice } from "../../server/engine/cpu/device.ts";
import * as ops from "../../server/engine/ops.ts";

const device = await createCpuDevice({ threads: 1 });
const x = ops.input("x", [2, 2]);
const program = await device.compile({ stores: [], outputs: { y: ops.matmul(x, x) } });
const { y = [] } = await program.run({ x: Float32Array.of(1, 1, 0, 1) });
process.stdout.write(`${[...y].join(" ")}\n`);
await program.dispose();
await device.close();
