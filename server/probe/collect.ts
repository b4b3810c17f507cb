/** Runs a model over texts and collects its layers' activations at a span of each. Letters as in features.ts. */
import { BatchCursor } from "../common/batch-cursor.ts";
import { invariant } from "../common/errors.ts";
import type { Device, Program, StateStore } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { type ActivationEdit, hiddenKeyBias } from "../models/architecture.ts";
import { forward, type Model, plainPositions } from "../models/model.ts";
import { activationsAt, type Site } from "../models/sites.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { rowMatrix } from "../statistics/linear-algebra.ts";
import type { Span } from "../tasks/task.ts";
import { type Bucket, type CollectBatch, planBatches, type TargetSequence, targetSequence } from "./collect-plan.ts";
import { addScaledRow } from "./features.loops.ts";
import type { LayerSpan, SpanFeatures } from "./features.ts";

/** Turns a layer's activations into features; a graph builder, so that any kind of dictionary can stand behind it. */
export interface FeatureEncoder {
  /** Where the encoder's weights live. */
  readonly stores: readonly StateStore[];
  /** The site of a layer whose activations it encodes. */
  siteAt(layer: number): Site;
  /** [N, D] -> [N, F] */
  encode(layer: number, activations: Node): Node;
}

/** No dictionary: the activations themselves at the sites of an encoder, for the baseline. */
export function rawActivations({ siteAt }: Pick<FeatureEncoder, "siteAt">): FeatureEncoder {
  return { stores: [], siteAt, encode: (_, activations) => activations };
}

export interface CollectOptions<Name extends string> {
  readonly device: Device;
  /**
   * The tuned policy; the base model if `probe` reads that instead (as the published code does). Usually the tuned
   * policy; the base model to probe that instead (as the published code does).
   */
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  readonly layers: readonly number[];
  /** One forward pass feeds all of them. */
  readonly encoders: Readonly<Record<Name, FeatureEncoder>>;
  /** Features of a span of several tokens: their mean over its tokens (the paper), or the first token's (its code). */
  readonly multiToken: "average" | "firstPiece";
  /** Token ids before every text, if the model was trained with such a prefix. */
  readonly prefixIds?: readonly number[];
  /** About how many tokens go through the model at once. */
  readonly tokensPerRun?: number;
  /** Edits activations during the forward pass, as for `forward`; the encoders receive the edited ones. */
  readonly edit?: {
    /** Where its weights live. */
    readonly stores: readonly StateStore[];
    /** Stores whose values may change between runs. */
    readonly live: readonly StateStore[];
    readonly activations: ActivationEdit;
  };
}

/** Texts that are token ids already, such as answers cut to a length; results are in the order of their rows. */
export interface GivenSequences {
  readonly sequences: readonly TargetSequence[];
}

/**
 * Collects features at each span's tokens under each encoder. Equal inputs give equal results, however the
 * collection was batched or resumed.
 */
export async function collectFeatures<Name extends string>(
  spans: readonly Span[],
  options: CollectOptions<Name>,
  onProgress: (doneTexts: number, texts: number) => void = () => undefined,
): Promise<Readonly<Record<Name, SpanFeatures>>> {
  const collection = new FeatureCollection(spans, options);
  while (await collection.step()) onProgress(collection.doneTexts, collection.texts);
  return await collection.finish();
}

/** Collects features one batch a step, so that a caller can checkpoint in between and resume. */
export class FeatureCollection<Name extends string> {
  /** S */
  readonly texts: number;
  readonly #options: CollectOptions<Name>;
  readonly #names: readonly Name[];
  readonly #layers: readonly number[];
  readonly #layerSpans: ReadonlyMap<Name, readonly LayerSpan[]>;
  readonly #cursor: BatchCursor<CollectBatch>;
  /** Whether some texts end with padding that their targets count in. */
  readonly #masked: boolean;
  readonly #rows: ReadonlyMap<Name, Float32Array<ArrayBuffer>>;
  #compiled: { readonly bucket: Bucket; readonly program: Program } | undefined;

  /** Throws `ContextLengthError` for a text that the model cannot read up to its target. */
  constructor(what: readonly Span[] | GivenSequences, options: CollectOptions<Name>) {
    const { encoders, model, tokenizer, multiToken, prefixIds = [], tokensPerRun = 1024 } = options;
    const { contextLength, layers: depth } = model.config;
    this.#options = options;
    this.#layers = options.layers.toSorted((a, b) => a - b);
    invariant(
      this.#layers.every((layer) => layer >= 0 && layer < depth),
      `layers ${this.#layers.join(", ")} were asked of a model of ${depth}`,
    );
    this.#names = namesOf(encoders);
    this.#layerSpans = new Map(
      this.#names.map((name) => [name, spansOf(encoders[name], this.#layers, model.config.width)]),
    );
    const plan = { tokenizer, contextLength, multiToken, prefixIds, tokensPerRun };
    const given = "sequences" in what;
    const sequences = given ? what.sequences : what.map((span, row) => targetSequence(span, row, plan));
    this.texts = sequences.length;
    this.#masked = sequences.some(({ attended }) => attended !== undefined);
    const batches = planBatches(sequences, given ? { ...plan, targetsPerText: "measured" } : plan);
    this.#cursor = new BatchCursor(batches, (batch) => batch.sequences.length);
    this.#rows = new Map(
      this.#names.map((name) => [name, new Float32Array(this.texts * widthOf(this.#layerSpans.get(name)))]),
    );
  }

  get doneTexts(): number {
    return this.#cursor.doneItems;
  }

  /** Batches done so far, of `batches`. */
  get done(): number {
    return this.#cursor.done;
  }

  get batches(): number {
    return this.#cursor.batches;
  }

  /** Runs the next batch; false when there is none. */
  async step(): Promise<boolean> {
    const batch = this.#cursor.next;
    if (batch === undefined) return false;
    const program = await this.#programFor(batch.bucket);
    this.#keep(batch, await program.run(inputsOf(batch, this.#masked)));
    this.#cursor.advance();
    return true;
  }

  /**
   * The partial result, [S, sum of F] under each encoder, not copied; the caller stores it in a checkpoint together
   * with `done`.
   */
  captured(): Readonly<Record<string, Float32Array<ArrayBuffer>>> {
    return Object.fromEntries(this.#rows);
  }

  /** Resumes after `done` batches from the values captured then. */
  restore(done: number, captured: Readonly<Record<string, Float32Array>>): void {
    this.#cursor.restore(done);
    for (const [name, rows] of this.#rows) {
      const saved = captured[name];
      invariant(saved?.length === rows.length, `the checkpoint's features "${name}" are not of this collection`);
      rows.set(saved);
    }
  }

  /** Returns the features once every batch is done, and frees the device memory of the collection. */
  async finish(): Promise<Readonly<Record<Name, SpanFeatures>>> {
    await this.dispose();
    this.#cursor.requireAll();
    const entries = this.#names.map((name): [Name, SpanFeatures] => {
      const layers = this.#layerSpans.get(name) ?? [];
      const data = this.#rows.get(name) ?? new Float32Array();
      return [name, { layers, rows: rowMatrix(data, this.texts, widthOf(layers)) }];
    });
    // The entries are those of the encoders, name by name.
    return Object.fromEntries(entries) as Record<Name, SpanFeatures>;
  }

  async dispose(): Promise<void> {
    await this.#compiled?.program.dispose();
    this.#compiled = undefined;
  }

  /** Keeps one program at a time: each holds its own copy of the weights in the kernels' layout. */
  async #programFor(bucket: Bucket): Promise<Program> {
    if (this.#compiled?.bucket === bucket) return this.#compiled.program;
    await this.dispose();
    const { device, model, encoders, edit } = this.#options;
    const encoding = this.#names.flatMap((name) => encoders[name].stores);
    const stores = [...new Set([model.store, ...encoding, ...(edit?.stores ?? [])])];
    const program = await device.compile({
      stores: [...stores, ...(edit?.live ?? [])],
      frozen: stores,
      outputs: this.#outputsOf(bucket),
    });
    this.#compiled = { bucket, program };
    return program;
  }

  /** Right padding needs no mask unless it is a target: attention is causal, so no target sees the padding after it. */
  #outputsOf({ texts: B, tokens: T, targets: R }: Bucket): Record<string, Node> {
    const { model, encoders, edit } = this.#options;
    const passed = forward(model, {
      shape: [B, T],
      maskKeys: this.#masked,
      ...(edit === undefined ? {} : { editActivations: edit.activations }),
    });
    const targets = ops.input("targets", [R], "i32");
    const outputs: Record<string, Node> = {};
    for (const layer of this.#layers) {
      for (const name of this.#names) {
        const { siteAt, encode } = encoders[name];
        const activations = activationsAt(passed, { layer, site: siteAt(layer) });
        const picked = ops.embedding(ops.reshape(activations, [B * T, -1]), targets);
        outputs[`${name}.${layer}`] = encode(layer, picked);
      }
    }
    return outputs;
  }

  #keep({ sequences }: CollectBatch, results: Readonly<Record<string, Values>>): void {
    for (const [name, rows] of this.#rows) {
      const spans = this.#layerSpans.get(name) ?? [];
      const columns = widthOf(spans);
      for (const { layer, start, end } of spans) {
        const features = results[`${name}.${layer}`];
        invariant(features instanceof Float32Array, `encoder "${name}" gave no features for layer ${layer}`);
        let target = 0;
        for (const { row, places } of sequences) {
          for (const _ of places) {
            addScaledRow(rows, row * columns + start, features, target * (end - start), end - start, 1 / places.length);
            target += 1;
          }
        }
      }
    }
  }
}

/** Token ids, positions, and the targets' places in the flattened batch; nothing reads the entries beyond the texts. */
function inputsOf({ bucket, sequences }: CollectBatch, masked: boolean): Record<string, Values> {
  const { texts: B, tokens: T, targets: R } = bucket;
  const ids = new Int32Array(B * T);
  for (const [b, sequence] of sequences.entries()) ids.set(sequence.ids, b * T);
  const targets = new Int32Array(R);
  targets.set(sequences.flatMap(({ places }, b) => places.map((place) => b * T + place)));
  const inputs = { ids, positions: plainPositions([B, T]), targets };
  if (!masked) return inputs;
  const keyBias = new Float32Array(B * T);
  for (const [b, { attended = T }] of sequences.entries()) keyBias.fill(hiddenKeyBias, b * T + attended, (b + 1) * T);
  return { ...inputs, keyBias };
}

function spansOf(encoder: FeatureEncoder, layers: readonly number[], width: number): LayerSpan[] {
  let end = 0;
  return layers.map((layer) => {
    const start = end;
    end += encoder.encode(layer, ops.input("activations", [1, width])).shape[1] ?? 0;
    return { layer, start, end };
  });
}

function widthOf(spans: readonly LayerSpan[] | undefined): number {
  return spans?.at(-1)?.end ?? 0;
}

/** Typed `Object.keys`: the record has these names and no others. */
function namesOf<Name extends string>(encoders: Readonly<Record<Name, unknown>>): Name[] {
  return Object.keys(encoders) as Name[];
}
