/** The small dictionaries of a run's model, as encoders of its activations. */
import type { Device } from "../../engine/device.ts";
import type { LayerSite } from "../../models/sites.ts";
import type { FeatureEncoder } from "../../probe/collect.ts";
import { loadSae } from "../../sae/format.ts";
import { encodeNode } from "../../sae/graph.ts";
import { type PlacedSae, placeSae } from "../../sae/inference.ts";
import { readDictionaries } from "../artifacts/autoencoders.ts";

/** The smallest dictionary of each layer of a model, as the paper's probe reads them; `saes` is their stage's folder. */
export async function smallDictionaries(
  device: Device,
  saes: string,
  model: "base" | "tuned",
): Promise<{ readonly layers: readonly number[]; readonly encoder: FeatureEncoder }> {
  const own = (await readDictionaries(saes)).filter((one) => one.model === model && one.size === "small");
  const placed = new Map<number, PlacedSae & LayerSite>();
  for (const { layer, folder } of own) {
    const { sae, site } = await loadSae(folder);
    placed.set(layer, { layer, site, ...(await placeSae(device, `small.${layer}`, sae)) });
  }
  const placedAt = (layer: number): PlacedSae & LayerSite => {
    const found = placed.get(layer);
    if (found === undefined) throw new TypeError(`no autoencoder was trained on layer ${layer}`);
    return found;
  };
  const encoder: FeatureEncoder = {
    stores: [...placed.values()].map(({ store }) => store),
    siteAt: (layer) => placedAt(layer).site,
    encode: (layer, activations) => encodeNode(activations, placedAt(layer).nodes),
  };
  return { layers: own.map(({ layer }) => layer), encoder };
}
