import * as fs from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { COMMIT, hub, ID, noise, options, useHubModel } from "../../test/support/hub-model.ts";
import { adapterBaseFolder } from "./adapter.ts";
import { hubReferenceOf } from "./hub.ts";
import { resolveReference } from "./open.ts";

useHubModel();

const ADAPTER = "somebody/an-adapter";

function publish(changes: object = {}): void {
  const config = { peft_type: "LORA", base_model_name_or_path: ID, r: 2, lora_alpha: 4, ...changes };
  const files = {
    "adapter_config.json": Buffer.from(JSON.stringify(config)),
    "adapter_model.safetensors": noise(3000, 7),
    "adapter_model.bin": noise(2000, 8),
    "README.md": Buffer.from("# An adapter"),
  };
  hub.repositories.set(ADAPTER, { branches: { main: COMMIT }, commits: { [COMMIT]: files } });
}

test("adapters of the hub come with their model, and are found again without a request", async () => {
  publish();
  const { folder, id, source } = await resolveReference(ADAPTER, options());
  expect({ id, source }).toEqual({ id: ADAPTER, source: "download" });
  expect(new Set(await fs.readdir(folder))).toEqual(new Set(["adapter_config.json", "adapter_model.safetensors"]));
  const local = options({ download: false });
  const base = await adapterBaseFolder(folder, local);
  expect(await fs.readdir(base)).toContain("model.safetensors");
  expect(hubReferenceOf(base)).toEqual({ id: ID, commit: COMMIT });
  expect(hubReferenceOf(join(base, ".."))).toBeUndefined();
  hub.seen.length = 0;
  expect((await resolveReference(ADAPTER, local)).folder).toBe(folder);
  expect(hub.seen).toEqual([]);
});

test("a model is asked for at the revision that is named", async () => {
  publish({ revision: COMMIT });
  const { folder } = await resolveReference(ADAPTER, options());
  expect(hubReferenceOf(await adapterBaseFolder(folder, options({ download: false })))?.commit).toBe(COMMIT);
});

test("a revision that is nowhere is an error that names the model", async () => {
  publish({ revision: "v9" });
  await expect(resolveReference(ADAPTER, options())).rejects.toThrow(
    /adapters .* of Some-Owner\/tiny_model\.v1, which was not found: .*v9/s,
  );
});
