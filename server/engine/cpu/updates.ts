import { type AdamWEntry, type AdamWNumber, adamWLayout, type Update } from "../device.ts";
import { DeviceError, NonFiniteError } from "../errors.ts";
import type { Values } from "../graph.ts";
import type { Buffer, Results } from "./buffers.ts";
import type { Kernels } from "./heap.ts";
import { findNonFinite } from "./host.loops.ts";
import type { Operand } from "./plan.ts";

/** An update's access to its operands. */
export interface UpdateContext {
  place(operand: Operand): Buffer;
  values(operand: Operand): Values;
  view(buffer: Buffer): Values;
  readonly kernels: Kernels;
}

/** Writes state in place and returns the update's results. */
export function applyUpdate<K extends Update["kind"]>(update: UpdateOf<K>, context: UpdateContext): Results {
  const rule: UpdateRule<K> = updateRules[update.kind];
  return rule(update, context) ?? {};
}

type UpdateOf<K extends Update["kind"]> = Extract<Update<Operand>, { kind: K }> & { readonly kind: K };
type UpdateRule<K extends Update["kind"]> = (update: UpdateOf<K>, context: UpdateContext) => Results | undefined;

const updateRules: { readonly [K in Update["kind"]]: UpdateRule<K> } = {
  assign: ({ target, value }, { place, values, view }) => {
    view(place(target)).set(values(value));
    return undefined;
  },
  accumulate: ({ target, value }, { place, kernels }) => {
    const to = place(target).block;
    kernels.addInto(to.offset, place(value).block.offset, to.bytes);
    return undefined;
  },
  writeAt: ({ target, value, start }, { place, values, view }) => {
    const into = place(target);
    const [, , S = 0, D = 0] = into.spec.shape;
    writePlaces(view(into), values(value), {
      S,
      D,
      start: values(start)[0] ?? 0,
      rows: into.spec.shape.slice(0, 2).reduce((a, b) => a * b, 1),
    });
    return undefined;
  },
  adamW: (update, context) => {
    const settings = context.values(update.settings);
    const number = (name: AdamWNumber): number => settings[adamWLayout[name]] ?? Number.NaN;
    const norm = gradientNorm(update.parameters, number("step"), context);
    const clip = Math.min(1, number("maxNorm") / (norm + 1e-6));
    for (const { parameter, gradient, firstMoment, secondMoment } of update.parameters) {
      const [p, g, m, v] = [parameter, gradient, firstMoment, secondMoment].map(
        (operand) => context.place(operand).block,
      );
      if (p === undefined || g === undefined || m === undefined || v === undefined)
        throw new DeviceError("an AdamW entry lacks an operand");
      context.kernels.adamw(p.offset, g.offset, m.offset, v.offset, p.bytes, ...adamWFactors.map(number), clip);
    }
    return { [update.normName]: Float32Array.of(norm) };
  },
};

/** The kernel's arguments between the addresses and the clipping factor. */
const adamWFactors = [
  "beta1",
  "oneMinusBeta1",
  "beta2",
  "oneMinusBeta2",
  "stepSize",
  "root",
  "eps",
  "keep",
] as const satisfies readonly AdamWNumber[];

interface Places {
  readonly S: number;
  readonly D: number;
  readonly start: number;
  readonly rows: number;
}

function writePlaces(target: Values, value: Values, { S, D, start, rows }: Places): void {
  const length = value.length / rows;
  if (start < 0 || start * D + length > S * D)
    throw new DeviceError(`places ${start} to ${start + length / D} do not fit a cache of ${S}`);
  for (let row = 0; row < rows; row++)
    target.set(value.subarray(row * length, (row + 1) * length), (row * S + start) * D);
}

/**
 * Root of the sum of squares over all gradients. Throws `NonFiniteError` naming the first tensor that is not finite.
 */
function gradientNorm(
  parameters: readonly AdamWEntry<Operand>[],
  step: number,
  { place, view, kernels }: UpdateContext,
): number {
  let total = 0;
  for (const { name, gradient } of parameters) {
    const buffer = place(gradient);
    const squares = kernels.sumOfSquares(buffer.block.offset, buffer.block.bytes);
    if (!Number.isFinite(squares)) {
      const values = view(buffer);
      const at = values instanceof Float32Array ? findNonFinite(values) : -1;
      throw new NonFiniteError(`the gradient of ${name}`, step, at < 0 ? squares : (values[at] ?? Number.NaN));
    }
    total += squares;
  }
  return Math.sqrt(total);
}
