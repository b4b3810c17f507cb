import type { DType, Node, Shape, Values } from "./graph.ts";

/**
 * A compute device: it keeps named state, compiles graphs into programs, and runs them. Programs of one device run in the order
 * in which they are started, each to its end, and see the state that the ones before left.
 */
export interface Device {
  readonly kind: DeviceKind;
  /** Adapter or processor and thread count, for people. */
  readonly description: string;
  /**
   * Moves values onto the device. The arrays given are taken over: do not use them afterwards. `purpose`, weights by default, is what an error
   * calls them where memory does not suffice.
   */
  createState(entries: readonly StateEntry[], purpose?: StatePurpose): Promise<StateStore>;
  /**
   * Throws the `DeviceError` that `createState` would throw for state of so many bytes, so that nothing is read, or made, that has no place. Reserves
   * nothing. A device that cannot tell beforehand has none.
   */
  admitState?(bytes: number, purpose?: StatePurpose): Promise<void>;
  /** Verifies, simplifies and lowers a graph. Throws `InvalidGraphError` or `DeviceError`. */
  compile(spec: ProgramSpec): Promise<Program>;
  /** Frees everything. Programs and stores are unusable afterwards. */
  close(): Promise<void>;
}

export type DeviceKind = "cpu" | "gpu";

export type StatePurpose = "weights" | "moments" | "caches" | "buffers";

export interface StateEntry {
  readonly name: string;
  readonly shape: Shape;
  /** Undefined: zeros. */
  readonly values: Values | undefined;
  readonly dtype?: DType;
}

/** Values that live on the device between runs, found by name from `state` nodes. */
export interface StateStore {
  readonly names: readonly string[];
  read(name: string): Promise<Values>;
  write(name: string, values: Values): Promise<void>;
  dispose(): Promise<void>;
}

export interface ProgramSpec {
  /** Where `state` nodes find their values; names must not repeat across stores. */
  readonly stores: readonly StateStore[];
  /** What a run gives back, by name. */
  readonly outputs: Readonly<Record<string, Node>>;
  /** What a run writes in place, in this order, after everything in `outputs` and every update's operands are computed. */
  readonly updates?: readonly Update[];
  /** State whose values will not change while this program lives, as stores or by name: it may copy it into a faster layout. */
  readonly frozen?: readonly Pick<StateStore, "names">[];
}

export interface Program {
  /**
   * Runs once. Every `input` node of the graph needs its values; throws `InputMismatchError` naming one that is missing or of the
   * wrong length, and `NonFiniteError` when an optimizer update meets a gradient that is not finite (nothing is updated then).
   */
  run(inputs: Readonly<Record<string, Values>>): Promise<Record<string, Values>>;
  dispose(): Promise<void>;
}

/** In-place writes to state. `Target` is how a state value is named: its node here, its buffer inside a device. */
export type Update<Operand = Node> =
  | { readonly kind: "assign"; readonly target: Operand; readonly value: Operand }
  /** target += value */
  | { readonly kind: "accumulate"; readonly target: Operand; readonly value: Operand }
  /**
   * target [B, H, S, D] gets value [B, H, T, D] at places start .. start + T of its third axis; `start` is an i32 input [1].
   */
  | { readonly kind: "writeAt"; readonly target: Operand; readonly value: Operand; readonly start: Operand }
  /**
   * One AdamW step over all parameters with the gradients clipped to a global norm; `settings` are the numbers of `adamWSettings`. The norm
   * before clipping is given back under `normName`.
   */
  | {
      readonly kind: "adamW";
      readonly parameters: readonly AdamWEntry<Operand>[];
      readonly settings: Operand;
      readonly normName: string;
    };

export interface AdamWEntry<Operand = Node> {
  readonly name: string;
  readonly parameter: Operand;
  readonly gradient: Operand;
  readonly firstMoment: Operand;
  readonly secondMoment: Operand;
}

export interface AdamWOptions {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decoupled: parameters shrink by learningRate * weightDecay. */
  readonly weightDecay: number;
  /** Global gradient norm to clip to; Infinity: none. */
  readonly maxGradientNorm: number;
}

/**
 * The per-step numbers of AdamW (Loshchilov and Hutter 2019, as in torch.optim.AdamW) for step 1, 2, ...: worked out in double precision
 * here, so that a device only multiplies. They stand as `adamWLayout` says.
 */
export function adamWSettings(options: AdamWOptions, step: number): Float32Array {
  const { learningRate, beta1, beta2, eps, weightDecay, maxGradientNorm } = options;
  const numbers: Readonly<Record<AdamWNumber, number>> = {
    beta1,
    oneMinusBeta1: 1 - beta1,
    beta2,
    oneMinusBeta2: 1 - beta2,
    stepSize: learningRate / (1 - beta1 ** step),
    root: 1 / Math.sqrt(1 - beta2 ** step),
    eps,
    keep: 1 - learningRate * weightDecay,
    maxNorm: maxGradientNorm,
    step,
  };
  const settings = new Float32Array(adamWSettingsLength);
  for (const name of adamWNames) settings[adamWLayout[name]] = numbers[name];
  return settings;
}

/** Places of the numbers of `adamWSettings`, which the kernels count on. */
export const adamWLayout = {
  beta1: 0,
  oneMinusBeta1: 1,
  beta2: 2,
  oneMinusBeta2: 3,
  stepSize: 4,
  root: 5,
  eps: 6,
  keep: 7,
  maxNorm: 8,
  step: 9,
} as const;

export type AdamWNumber = keyof typeof adamWLayout;

const adamWNames = Object.keys(adamWLayout) as AdamWNumber[];
export const adamWSettingsLength = adamWNames.length;
