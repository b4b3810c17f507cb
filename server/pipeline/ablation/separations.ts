import type { AblatedDictionary, AblationEdit } from "../../ablate/edit.ts";
import { FeatureCollection } from "../../probe/collect.ts";
import { takeRows } from "../../probe/features.ts";
import { probeRewards } from "../../probe/linear-probe.ts";
import { spansOf } from "../../tasks/contrast.ts";
import type { CollectTriples, SeparationParts } from "./subject.ts";

/**
 * The probe's separation of each triple under the edit's current state: its reading of the changed outputs at the
 * positive word minus that at the negative one.
 */
export async function separationsOf(
  subject: SeparationParts,
  edit: AblationEdit,
  collect: CollectTriples,
): Promise<number[]> {
  const { device, model, tokenizer, probe, ratings, triples, prefixIds, multiToken, probed } = subject;
  if (triples.length === 0) return [];
  const byLayer = new Map(probed.map((one) => [one.layer, one]));
  const dictionaryAt = (layer: number): AblatedDictionary => {
    const found = byLayer.get(layer);
    if (found === undefined) throw new TypeError(`the probe reads layer ${layer}, which has no dictionary`);
    return found;
  };
  const collection = new FeatureCollection(spansOf(triples), {
    device,
    model,
    tokenizer,
    layers: probe.layers.map(({ layer }) => layer),
    encoders: {
      z: {
        stores: probed.map(({ store }) => store),
        siteAt: (layer) => dictionaryAt(layer).site,
        encode: (layer, output) => dictionaryAt(layer).encode(output),
      },
    },
    multiToken,
    prefixIds,
    edit: { stores: edit.frozenStores, live: edit.liveStores, activations: edit.activations },
  });
  await collect(collection);
  const { z } = await collection.finish();
  const n = triples.length;
  const rowsFrom = (first: number) =>
    takeRows(
      z.rows,
      Int32Array.from({ length: n }, (_, at) => first + at),
    );
  const positive = probeRewards(probe, rowsFrom(0), ratings.range);
  const negative = probeRewards(probe, rowsFrom(n), ratings.range);
  return Array.from(positive, (value, at) => value - (negative[at] ?? 0));
}
