/** Runs a model over texts and keeps where the features of its dictionaries are active. Letters: B texts, T places, F features. */
import type { Device, Program } from "../../engine/device.ts";
import type { Node, Values } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import { forward, type Model, plainPositions } from "../../models/model.ts";
import { mlpOutputOf } from "../../sae/activation-buffer.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import type { Sae } from "../../sae/sae.ts";
import { ActivationCollector, type FeatureActivations } from "./activations.loops.ts";
import type { WindowedTexts } from "./windows.ts";

export interface HarvestOptions {
  readonly device: Device;
  readonly model: Model;
  /** Dictionaries by name, with the layer whose MLP output they read. */
  readonly dictionaries: readonly { readonly name: string; readonly layer: number; readonly sae: Sae }[];
  readonly texts: WindowedTexts;
  /** Token ids before every text. */
  readonly prefixIds: readonly number[];
  /** Awaited after each pass; throws to stop. */
  readonly onPass: (textsDone: number) => Promise<void>;
}

/** About so many token places make a forward pass. */
const passTokens = 1024;

/** Activations of every dictionary, by its name. */
export async function harvest(options: HarvestOptions): Promise<ReadonlyMap<string, FeatureActivations>> {
  const { device, model, dictionaries, texts, prefixIds, onPass } = options;
  const longest = texts.ids.reduce((most, { length }) => Math.max(most, length), 1);
  const T = longest + prefixIds.length;
  const B = Math.max(1, Math.min(texts.ids.length, Math.floor(passTokens / T)));
  const placed = [];
  for (const { name, layer, sae } of dictionaries) placed.push({ name, layer, ...(await placeSae(device, name, sae)) });
  const passed = forward(model, { shape: [B, T] });
  const outputs: Record<string, Node> = {};
  for (const { name, layer, nodes } of placed)
    outputs[name] = encodeNode(ops.reshape(mlpOutputOf(passed, layer), [B * T, -1]), nodes);
  const stores = [model.store, ...placed.map(({ store }) => store)];
  const program = await device.compile({ stores, frozen: stores, outputs });
  const collectors = new Map(dictionaries.map(({ name, sae }) => [name, new ActivationCollector(sae.F)]));
  try {
    for (let first = 0; first < texts.ids.length; first += B) {
      const results = await runPass(program, options, [first, B, T]);
      for (const [name, collector] of collectors) keep(collector, results[name], options, [first, B, T]);
      await onPass(Math.min(texts.ids.length, first + B));
    }
  } finally {
    await program.dispose();
    for (const { store } of placed) await store.dispose();
  }
  return new Map([...collectors].map(([name, collector]) => [name, collector.finish(texts.tokens)]));
}

type Pass = readonly [first: number, B: number, T: number];

function runPass(
  program: Program,
  { texts, prefixIds }: HarvestOptions,
  [first, B, T]: Pass,
): Promise<Record<string, Values>> {
  const ids = new Int32Array(B * T);
  for (const [b, own] of texts.ids.slice(first, first + B).entries()) {
    ids.set(prefixIds, b * T);
    ids.set(own, b * T + prefixIds.length);
  }
  return program.run({ ids, positions: plainPositions([B, T]) });
}

function keep(
  collector: ActivationCollector,
  rows: Values | undefined,
  { texts, prefixIds }: HarvestOptions,
  [first, B, T]: Pass,
): void {
  if (!(rows instanceof Float32Array)) throw new TypeError("a pass gave no features");
  for (const [b, own] of texts.ids.slice(first, first + B).entries()) {
    const start = texts.starts[first + b] ?? 0;
    for (const [t] of own.entries()) collector.add(rows, b * T + prefixIds.length + t, start + t);
  }
}
