/**
 * Runs a model over texts and records where the features of its dictionaries are active. Letters: B texts, T places, F
 * features.
 */
import { invariant } from "../../common/errors.ts";
import type { Device, Program, StateStore } from "../../engine/device.ts";
import type { Node, Values } from "../../engine/graph.ts";
import * as ops from "../../engine/ops.ts";
import { forward, type Model, plainPositions } from "../../models/model.ts";
import { activationsAt, type LayerSite } from "../../models/sites.ts";
import { encodeNode } from "../../sae/graph.ts";
import { placeSae } from "../../sae/inference.ts";
import type { Sae } from "../../sae/sae.ts";
import { ActivationCollector, type CollectedActivations, type FeatureActivations } from "./activations.loops.ts";
import type { WindowedTexts } from "./windows.ts";

export interface HarvestOptions {
  readonly device: Device;
  readonly model: Model;
  /** Dictionaries by name, with the site that they read. */
  readonly dictionaries: readonly (LayerSite & { readonly name: string; readonly sae: Sae })[];
  readonly texts: WindowedTexts;
  /** Token ids before every text. */
  readonly prefixIds: readonly number[];
}

/** A harvest's activations so far, by the dictionaries' names. */
export type Harvested = Readonly<Record<string, CollectedActivations>>;

/** Approximate number of token places of a forward pass. */
const passTokens = 1024;

/**
 * Harvests activations, one pass per step, so that it can be saved in between and resumed. `finish` or `dispose` frees
 * its memory on the device.
 */
export class Harvest {
  readonly #options: HarvestOptions;
  readonly #program: Program;
  readonly #placed: readonly StateStore[];
  readonly #shape: readonly [B: number, T: number];
  readonly #collectors: ReadonlyMap<string, ActivationCollector>;
  #done = 0;

  private constructor(
    options: HarvestOptions,
    program: Program,
    placed: readonly StateStore[],
    shape: readonly [number, number],
  ) {
    this.#options = options;
    this.#program = program;
    this.#placed = placed;
    this.#shape = shape;
    this.#collectors = new Map(options.dictionaries.map(({ name, sae }) => [name, new ActivationCollector(sae.F)]));
  }

  static async open(options: HarvestOptions): Promise<Harvest> {
    const { device, model, dictionaries, texts, prefixIds } = options;
    const longest = texts.ids.reduce((most, { length }) => Math.max(most, length), 1);
    const T = longest + prefixIds.length;
    const B = Math.max(1, Math.min(texts.ids.length, Math.floor(passTokens / T)));
    const placed = [];
    for (const { name, layer, site, sae } of dictionaries)
      placed.push({ name, layer, site, ...(await placeSae(device, name, sae)) });
    const passed = forward(model, { shape: [B, T] });
    const outputs: Record<string, Node> = {};
    for (const { name, nodes, ...place } of placed)
      outputs[name] = encodeNode(ops.reshape(activationsAt(passed, place), [B * T, -1]), nodes);
    const own = placed.map(({ store }) => store);
    const stores = [model.store, ...own];
    const program = await device.compile({ stores, frozen: stores, outputs });
    return new Harvest(options, program, own, [B, T]);
  }

  /** Texts read so far. */
  get done(): number {
    return this.#done;
  }

  /** Reads the next few texts; returns false when none are left. */
  async step(): Promise<boolean> {
    const { texts } = this.#options;
    const [B, T] = this.#shape;
    if (this.#done >= texts.ids.length) return false;
    const pass = [this.#done, B, T] as const;
    const results = await runPass(this.#program, this.#options, pass);
    for (const [name, collector] of this.#collectors) keep(collector, results[name], this.#options, pass);
    this.#done = Math.min(texts.ids.length, this.#done + B);
    return true;
  }

  /** Views of the activations so far, for a checkpoint together with `done`. */
  captured(): Harvested {
    return Object.fromEntries([...this.#collectors].map(([name, collector]) => [name, collector.captured()]));
  }

  /** Resumes from `done` texts and what was captured then. */
  restore(done: number, harvested: Harvested): void {
    const { length } = this.#options.texts.ids;
    invariant(done >= 0 && done <= length, `${done} of ${length} texts cannot be done`);
    for (const [name, collector] of this.#collectors) {
      const saved = harvested[name];
      invariant(saved !== undefined, `the checkpoint has no activations of dictionary ${name}`);
      collector.restore(saved);
    }
    this.#done = done;
  }

  /** Activations of every dictionary, by its name, when every text is read. */
  async finish(): Promise<Map<string, FeatureActivations>> {
    await this.dispose();
    const { texts } = this.#options;
    invariant(this.#done === texts.ids.length, "a harvest was finished before its last text");
    return new Map([...this.#collectors].map(([name, collector]) => [name, collector.finish(texts.tokens)]));
  }

  async dispose(): Promise<void> {
    await this.#program.dispose();
    for (const store of this.#placed) await store.dispose();
  }
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
