import type { DType, Node, Shape, Values } from "./graph.ts";

/**
 * A compute device: it keeps named state, compiles graphs into programs, and runs them. Programs of one device run one
 * after another, in the order of their start, and each sees the state that earlier ones left.
 */
export interface Device {
  readonly kind: DeviceKind;
  /** Adapter, or processor and thread count, for display. */
  readonly description: string;
  /**
   * Moves values onto the device. It takes ownership of the arrays: do not use them afterwards. `purpose`, weights by
   * default, names them in the error when memory does not suffice.
   */
  createState(entries: readonly StateEntry[], purpose?: StatePurpose): Promise<StateStore>;
  /**
   * Throws the `DeviceError` that `createState` would throw for state of that many bytes, so that the caller need not
   * read or create it first. Reserves nothing. Undefined on a device that cannot tell beforehand.
   */
  admitState?(bytes: number, purpose?: StatePurpose): Promise<void>;
  /** Memory for weights that no program writes. Undefined on a device that holds all state alike. */
  readonly fixed?: FixedMemory;
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

/** Values that live on the device between runs; `state` nodes refer to them by name. */
export interface StateStore {
  readonly names: readonly string[];
  read(name: string): Promise<Values>;
  write(name: string, values: Values): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Memory for weights that no program writes, beside that of other state: it holds them as they are given, once for all
 * programs. A `state` node of such weights is F32 whatever its `stored`.
 */
export interface FixedMemory {
  /** Size from which a model's weights are better held here, in bytes as F32. */
  readonly fromBytes: number;
  /** Whether a model from that size on can be held nowhere else: its training would not fit the device's memory. */
  readonly isRequired: boolean;
  /** As `Device.admitState`, for that many bytes here; `stored` are the forms in which they will be given. */
  admit(bytes: number, stored: ReadonlySet<StoredAs>): Promise<void>;
  /** Moves values here. It takes ownership of the arrays, as `Device.createState` does. */
  create(entries: readonly FixedEntry[]): Promise<StateStore>;
  /**
   * A further store of the values of one that is not disposed of, with another prefix of their names and with values of its
   * own beside them. Nothing is copied; values are freed when every store that has them is disposed of.
   */
  share(store: StateStore, options: ShareOptions): Promise<StateStore>;
}

export interface ShareOptions {
  readonly prefix: { readonly from: string; readonly to: string };
  /** Values that the new store has besides, or instead of one of the same name. */
  readonly entries?: readonly FixedEntry[];
  /** Called when the new store is disposed of. */
  readonly onDispose?: () => Promise<void>;
}

/** How fixed state is held. F16 and BF16 are widened exactly where a program reads them. */
export type StoredAs = "f32" | "f16" | "bf16";

export interface FixedEntry {
  readonly name: string;
  readonly shape: Shape;
  readonly stored: StoredAs;
  /** Float32Array for F32; otherwise the 16 bits of each value. */
  readonly values: Float32Array | Uint16Array;
  /** Whether `StateStore.write` may change it, between runs; only in F32. No program ever does. */
  readonly isWritable?: boolean;
}

export interface ProgramSpec {
  /** Stores that hold the values of `state` nodes; names must be unique across stores. */
  readonly stores: readonly StateStore[];
  /** Results of a run, by name. */
  readonly outputs: Readonly<Record<string, Node>>;
  /** In-place writes of a run, in this order, after all `outputs` and all operands of updates are computed. */
  readonly updates?: readonly Update[];
  /**
   * State that does not change while this program lives, as stores or by name: the device may copy it to a faster
   * layout.
   */
  readonly frozen?: readonly Pick<StateStore, "names">[];
}

export interface Program {
  /**
   * Runs once. Every `input` node of the graph needs its values; throws `InputMismatchError` naming one that is
   * missing or of the wrong length, and `NonFiniteError` when an optimizer update meets a gradient that is not finite
   * (nothing is updated then).
   */
  run(inputs: Readonly<Record<string, Values>>): Promise<Record<string, Values>>;
  dispose(): Promise<void>;
}

/**
 * In-place writes to state. `Operand` is how a value is referred to: by its node here, by its buffer inside a device.
 */
export type Update<Operand = Node> =
  | { readonly kind: "assign"; readonly target: Operand; readonly value: Operand }
  /** target += value */
  | { readonly kind: "accumulate"; readonly target: Operand; readonly value: Operand }
  /**
   * target [B, H, S, D] gets value [B, H, T, D] at places start .. start + T of its third axis; `start` is an i32 input [1].
   */
  | { readonly kind: "writeAt"; readonly target: Operand; readonly value: Operand; readonly start: Operand }
  /**
   * One AdamW step over all parameters with the gradients clipped to a global norm; `settings` are the numbers of
   * `adamWSettings`. The run returns the norm before clipping under `normName`.
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
 * The per-step numbers of AdamW (Loshchilov and Hutter 2019, as in torch.optim.AdamW) for step 1, 2, ..., in the
 * order of `adamWLayout`. Computed in double precision here, so that a device only multiplies.
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

/** Indices of the numbers of `adamWSettings`; the kernels rely on them. */
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
