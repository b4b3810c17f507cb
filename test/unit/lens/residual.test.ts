/** A run whose dictionaries are of the residual stream, read and ablated there. Letters: T tokens, D width, F features. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import * as ops from "../../../server/engine/ops.ts";
import type { Lens } from "../../../server/lens/lens.ts";
import { valuesOf } from "../../../server/lens/values.ts";
import type { ActivationEdit } from "../../../server/models/architecture.ts";
import { type LoadedModel, loadModel } from "../../../server/models/checkpoint.ts";
import { forward, plainPositions } from "../../../server/models/model.ts";
import { loadTokenizer } from "../../../server/models/tokenizer.ts";
import { openLens } from "../../../server/pipeline/finished/open-lens.ts";
import { AblationSet } from "../../../server/protocol/ablation.ts";
import { loadSae } from "../../../server/sae/format.ts";
import type { Sae } from "../../../server/sae/sae.ts";
import { makeTinyRun } from "../../support/tiny-run.ts";
import { scratchFolder } from "../runs/scratch.ts";

const text = "This movie was a wonderful, moving film.";
const D = 16;

let device: Device;
let lens: Lens;
let model: LoadedModel;
const saes: Sae[] = [];
beforeAll(async () => {
  const { folder } = await makeTinyRun(await scratchFolder());
  const run = join(await scratchFolder(), "runs", "residual");
  await cp(folder, run, { recursive: true });
  for (const layer of [0, 1])
    for (const F of [24, 40]) {
      const path = join(run, "sae", "tuned", `${layer}`, `${F}`, "cfg.json");
      const json = (await readFile(path, "utf8")).replace("hook_mlp_out", "hook_resid_post");
      await writeFile(path, json);
      if (F === 24) saes.push((await loadSae(join(path, ".."))).sae);
    }
  lens = await openLens(run, { threads: 1 });
  device = await createCpuDevice({ threads: 1 });
  model = await loadModel(device, join(run, "tuned"));
}, 60_000);
afterAll(async () => {
  await lens.close();
  await device.close();
});

/** A feature of layer 1 at every token, from the residual stream of a forward pass and the dictionary's numbers. */
async function byHand(feature: number, editActivations: ActivationEdit = (_, x) => x): Promise<number[]> {
  const { ids: own } = (await loadTokenizer(join(lens.info.runFolder, "tuned"))).encode(text, {
    addSpecialTokens: false,
  });
  const ids = Int32Array.from([0, ...own]);
  const shape = [1, ids.length] as const;
  const x = forward(model, { shape, editActivations }).layers[1]?.activations.residual ?? ops.fill([], 0);
  const program = await device.compile({ stores: [model.store], outputs: { x } });
  const { x: values = [] } = await program.run({ ids, positions: plainPositions(shape) });
  await program.dispose();
  return Array.from(own, (_, t) => featureOf(saes[1], feature, Array.from(values.slice((t + 1) * D, (t + 2) * D))));
}

function featureOf(sae: Sae | undefined, feature: number, x: readonly number[]): number {
  const sum = x.reduce((total, value, d) => total + value * (sae?.encoder[feature * D + d] ?? 0), 0);
  return Math.max(0, sum + (sae?.encoderBias[feature] ?? 0));
}

it("reads features of the residual stream", async () => {
  const expected = await byHand(3);
  const { values } = await valuesOf(lens, text, { kind: "feature", id: "L1/F3" });
  expect(values).toHaveLength(expected.length);
  for (const [t, value] of values.entries()) expect(value).toBeCloseTo(expected[t] ?? Number.NaN, 4);
  expect(Math.max(...expected)).toBeGreaterThan(0.1);
});

it("takes an ablated feature's part out of the residual stream, which the layers above then read", async () => {
  const [feature, factor] = [5, -4];
  const features = [{ id: `L0/F${feature}` as const, factor }];
  const ablation = AblationSet.parse({ format: "lfp-ablation/1", features });
  const sae = saes[0];
  const row = (of: Float32Array | undefined) =>
    ops.constant([1, D], of?.slice(feature * D, (feature + 1) * D) ?? new Float32Array(D));
  const expected = await byHand(3, ({ layer, site }, x) => {
    if (layer !== 0 || site !== "residual") return x;
    const flat = ops.reshape(x, [-1, D]);
    const f = ops.relu(
      ops.affine(ops.matmul(flat, row(sae?.encoder), { transB: true }), 1, sae?.encoderBias[feature] ?? 0),
    );
    return ops.reshape(ops.add(flat, ops.matmul(ops.affine(f, factor - 1), row(sae?.decoder))), x.shape);
  });
  const { values } = await valuesOf(lens, text, { kind: "feature", id: "L1/F3" }, { ablation });
  for (const [t, value] of values.entries()) expect(value).toBeCloseTo(expected[t] ?? Number.NaN, 4);
  const plain = await byHand(3);
  expect(Math.max(...expected.map((value, t) => Math.abs(value - (plain[t] ?? 0))))).toBeGreaterThan(0.05);
});
