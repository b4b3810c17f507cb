import {
  type AdamWOptions,
  adamWSettings,
  adamWSettingsLength,
  type Device,
  type StateStore,
  type Update,
} from "./device.ts";
import { NonFiniteError } from "./errors.ts";
import { gradients } from "./gradients.ts";
import type { Node, Shape, Values } from "./graph.ts";
import * as ops from "./ops.ts";
import { simplify } from "./simplify.ts";

export interface TrainedParameter {
  readonly name: string;
  readonly shape: Shape;
}

/** AdamW's moments for some parameters, and the update that uses them. */
export interface Optimizer {
  /** The moments, under the parameter's name with `.m` and `.v`. */
  readonly store: StateStore;
  readonly parameters: readonly TrainedParameter[];
  /**
   * One step with the loss's gradients, for `ProgramSpec.updates`. The program then needs the inputs
   * `inputsAt(step)`.
   */
  update(loss: Node): Update;
  /** The per-step numbers for step 1, 2, ... as program inputs. */
  inputsAt(step: number, options: AdamWOptions): Record<string, Values>;
}

/** The name under which a training program returns the gradient norm before clipping. */
export const gradientNormName = "gradientNorm";
const settingsName = "optimizerSettings";

/** Creates an optimizer whose moments start at zero. */
export async function createOptimizer(device: Device, parameters: readonly TrainedParameter[]): Promise<Optimizer> {
  const moments = parameters.flatMap(({ name, shape }) =>
    [`${name}.m`, `${name}.v`].map((moment) => ({ name: moment, shape, values: undefined })),
  );
  const store = await device.createState(moments, "moments");
  return {
    store,
    parameters,
    update: (loss) => adamWUpdate(parameters, gradientsOf(loss, parameters)),
    inputsAt: (step, options) => ({ [settingsName]: adamWSettings(options, step) }),
  };
}

/** Throws `NonFiniteError` when a number that a step reports is NaN or infinite. */
export function requireFinite(name: string, step: number, values: Values | undefined): number {
  const value = values?.[0] ?? Number.NaN;
  if (!Number.isFinite(value)) throw new NonFiniteError(name, step, value);
  return value;
}

/** Gradient accumulation: several runs add up gradients before one step, for batches larger than a device's memory. */
export interface GradientSum {
  /** The sums, under the parameter's name with `.g`. */
  readonly store: StateStore;
  /**
   * Adds the loss's gradients, for `ProgramSpec.updates`. The program needs the inputs `inputsAt(first)`; the first
   * run of a step overwrites the old sums.
   */
  add(loss: Node): readonly Update[];
  inputsAt(first: boolean): Record<string, Values>;
  /** One AdamW step on `factor` times the sums; the program needs the optimizer's `inputsAt(step)`. */
  step(factor: number): Update;
}

const keepName = "keepGradients";

/** Creates gradient sums for an optimizer's parameters, initially zero. */
export async function createGradientSum(device: Device, { parameters }: Optimizer): Promise<GradientSum> {
  const sums = parameters.map(({ name, shape }) => ({ name: `${name}.g`, shape, values: undefined }));
  const sumOf = ({ name, shape }: TrainedParameter): Node => ops.state(`${name}.g`, shape);
  return {
    store: await device.createState(sums, "buffers"),
    add: (loss) => {
      const found = gradientsOf(loss, parameters);
      const keep = ops.input(keepName, []);
      return parameters.map((parameter, index) => {
        const target = sumOf(parameter);
        const gradient = found[index] ?? ops.fill(parameter.shape, 0);
        return { kind: "assign", target, value: ops.add(ops.mul(target, keep), gradient) };
      });
    },
    inputsAt: (first) => ({ [keepName]: Float32Array.of(first ? 0 : 1) }),
    step: (factor) =>
      adamWUpdate(
        parameters,
        parameters.map((parameter) => ops.affine(sumOf(parameter), factor)),
      ),
  };
}

function gradientsOf(loss: Node, parameters: readonly TrainedParameter[]): Node[] {
  return gradientsByName(
    loss,
    parameters.map(({ name, shape }) => ops.state(name, shape)),
  );
}

function adamWUpdate(parameters: readonly TrainedParameter[], found: readonly Node[]): Update {
  return {
    kind: "adamW",
    settings: ops.input(settingsName, [adamWSettingsLength]),
    normName: gradientNormName,
    parameters: parameters.map(({ name, shape }, index) => ({
      name,
      parameter: ops.state(name, shape),
      gradient: found[index] ?? ops.fill(shape, 0),
      firstMoment: ops.state(`${name}.m`, shape),
      secondMoment: ops.state(`${name}.v`, shape),
    })),
  };
}

/**
 * Gradients for states by name: a graph may hold several nodes of one state (each use creates its own), and `simplify`
 * merges them.
 */
function gradientsByName(loss: Node, states: readonly Node[]): Node[] {
  const [merged = loss, ...found] = simplify([loss, ...states]);
  return gradients(merged, found);
}
