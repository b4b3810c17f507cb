import { expect, it } from "vitest";
import { modelFolder, ORACLE_MODELS } from "../../test/conformance/fixtures.ts";
import { readConfig } from "./config.ts";
import { headNameOf, parametersOf } from "./model.ts";

/** Parts by the names that Hugging Face gives parameters: another way to tell than the architectures' own. */
function partByName(name: string): string {
  if (/norm|\.ln_/.test(name)) return "norm";
  if (/\.mlp\./.test(name)) return "mlp";
  if (/attention\.(dense|query_key_value)|attn\.|self_attn\./.test(name)) return "attention";
  return /^(embed_out|lm_head)\./.test(name) ? "head" : "embedding";
}

it.each(ORACLE_MODELS)("every parameter of %s has its part and its layer", async (name) => {
  const { config } = await readConfig(modelFolder(name));
  const parameters = parametersOf(config);
  expect(parameters.map(({ name: one, part }) => [one, part])).toEqual(
    parameters.map(({ name: one }) => [one, partByName(one)]),
  );
  for (const { name: one, layer } of parameters) {
    const inName = /\.(?:layers|h)\.(\d+)\./.exec(one)?.[1];
    expect(layer, one).toBe(inName === undefined ? undefined : Number(inName));
  }
  const inLayers = new Set(parameters.flatMap(({ layer }) => (layer === undefined ? [] : [layer])));
  expect([...inLayers]).toEqual(Array.from({ length: config.layers }, (_, layer) => layer));
  // A head of its own is a part; a tied one is the embeddings.
  const head = parameters.find(({ name: one }) => one === headNameOf(config));
  expect(head?.part).toBe(config.tiedHead ? "embedding" : "head");
});
