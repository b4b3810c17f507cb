/** Sites: the places of a layer whose activations can be read and edited, and that dictionaries encode. One total table. */

import { invariant } from "../common/errors.ts";
import type { Node } from "../engine/graph.ts";

export const siteNames = ["mlp-output", "residual"] as const;
export type Site = (typeof siteNames)[number];
/** What dictionaries encode where nothing is said, as in the paper. */
export const defaultSite: Site = "mlp-output";

/** A site of one layer. */
export interface LayerSite {
  readonly layer: number;
  readonly site: Site;
}

interface SiteRow {
  /** What TransformerLens calls it within a block. */
  readonly hook: string;
  /** What it is, after "the": for sentences. */
  readonly inWords: string;
}

export const sites: { readonly [S in Site]: SiteRow } = {
  "mlp-output": { hook: "hook_mlp_out", inWords: "MLP's output" },
  residual: { hook: "hook_resid_post", inWords: "residual stream after the layer" },
};

/** The activations of a site in a forward pass, [B, T, D]. The layer must be one of the model's. */
export function activationsAt(
  { layers }: { readonly layers: readonly { readonly activations: Readonly<Record<Site, Node>> }[] },
  { layer, site }: LayerSite,
): Node {
  const found = layers[layer];
  invariant(found !== undefined, `the forward pass has no layer ${layer}`);
  return found.activations[site];
}

/** TransformerLens's name of a site, such as `blocks.3.hook_mlp_out`. */
export function hookOf({ layer, site }: LayerSite): string {
  return `blocks.${layer}.${sites[site].hook}`;
}

/** The inverse of `hookOf`; the residual stream before a layer is that after the one below. Undefined for other hooks. */
export function siteOfHook(hook: string): LayerSite | undefined {
  const [, number, name] = /^blocks\.(\d{1,4})\.(\w+)$/.exec(hook) ?? [];
  if (number === undefined) return undefined;
  if (name === "hook_resid_pre") return number === "0" ? undefined : { layer: Number(number) - 1, site: "residual" };
  const site = siteNames.find((one) => sites[one].hook === name);
  return site && { layer: Number(number), site };
}
