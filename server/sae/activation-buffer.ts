/**
 * The activations of chosen layers, kept on the device one chunk at a time: one forward pass of each model gives the
 * activations of all its layers, and they never leave the device. Letters: B texts, T tokens, D width, R rows of the
 * whole buffer.
 */

import type { Device, Program, StateStore, Update } from "../engine/device.ts";
import type { Node, Values } from "../engine/graph.ts";
import * as ops from "../engine/ops.ts";
import { hiddenKeyBias } from "../models/architecture.ts";
import { forward, type Model, plainPositions } from "../models/model.ts";
import { activationsAt, type Site } from "../models/sites.ts";
import { requireLayers } from "./errors.ts";
import type { TokenStream } from "./token-stream.ts";

/** A model whose activations are read. Its weights must not change while they are. */
export interface SubjectModel {
  /** Identifies the model within one training: `base`, `tuned`. */
  readonly name: string;
  readonly model: Model;
  /** Stores of adapters, besides the model's own. */
  readonly stores?: readonly StateStore[];
  /** The device that the model is on, if it is not the training's. */
  readonly device?: Device;
}

export interface BufferOptions {
  readonly device: Device;
  readonly models: readonly SubjectModel[];
  readonly layers: readonly number[];
  readonly site: Site;
  readonly texts: readonly Int32Array[];
  readonly stream: TokenStream;
  /** Whether training may read padding tokens, in which case attention must mask padding keys. */
  readonly readsPadding: boolean;
}

export interface ActivationBuffer {
  readonly store: StateStore;
  /** Runs every model over the texts and writes the activations to the rows of forward pass `pass` of a chunk. */
  fill(pass: number, texts: readonly number[]): Promise<void>;
  /** The activations of a layer, [R, D]. */
  rowsOf(model: string, layer: number): Node;
  dispose(): Promise<void>;
}

export async function createActivationBuffer(options: BufferOptions): Promise<ActivationBuffer> {
  const { device, models, layers, stream } = options;
  const R = stream.passesPerChunk * stream.B * stream.T;
  const widthOf = new Map(models.map(({ name, model }) => [name, model.config.width]));
  const store = await device.createState(
    models.flatMap(({ name, model }) =>
      layers.map((layer) => ({
        name: bufferName(name, layer),
        shape: [1, 1, R, model.config.width],
        values: undefined,
      })),
    ),
    "buffers",
  );
  const programs: Program[] = [];
  for (const subject of models) programs.push(await compileHarvest(options, subject, store, R));
  return {
    store,
    fill: async (pass, texts) => {
      const inputs = passInputs(options, pass, texts);
      await Promise.all(programs.map((program) => program.run(inputs)));
    },
    rowsOf: (model, layer) => ops.state(bufferName(model, layer), [R, widthOf.get(model) ?? 0]),
    dispose: async () => {
      await Promise.all(programs.map((program) => program.dispose()));
      await store.dispose();
    },
  };
}

/** Compiles a forward pass up to the highest layer that is read; later layers are not compiled. */
function compileHarvest(
  { device, layers, site, stream: { B, T }, readsPadding }: BufferOptions,
  { name, model, stores = [] }: SubjectModel,
  store: StateStore,
  R: number,
): Promise<Program> {
  requireLayers(layers, model.config);
  const result = forward(model, { shape: [B, T], maskKeys: readsPadding });
  const D = model.config.width;
  const start = ops.input("start", [1], "i32");
  const updates: Update[] = layers.map((layer) => ({
    kind: "writeAt",
    target: ops.state(bufferName(name, layer), [1, 1, R, D]),
    value: ops.reshape(activationsAt(result, { layer, site }), [1, 1, B * T, D]),
    start,
  }));
  const frozen = [model.store, ...stores];
  return device.compile({ stores: [...frozen, store], frozen, outputs: {}, updates });
}

function passInputs(
  { texts: all, stream: { B, T }, readsPadding }: BufferOptions,
  pass: number,
  texts: readonly number[],
): Record<string, Values> {
  const ids = new Int32Array(B * T);
  const keyBias = new Float32Array(B * T).fill(hiddenKeyBias);
  for (const [b, text] of texts.entries()) {
    const own = all[text]?.subarray(0, T) ?? new Int32Array();
    ids.set(own, b * T);
    keyBias.fill(0, b * T, b * T + own.length);
  }
  const inputs = { ids, positions: plainPositions([B, T]), start: Int32Array.of(pass * B * T) };
  return readsPadding ? { ...inputs, keyBias } : inputs;
}

function bufferName(model: string, layer: number): string {
  return `activations.${model}.${layer}`;
}
