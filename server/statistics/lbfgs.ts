import { type LinePoint, searchLine } from "./line-search.ts";
import { addScaled, dot } from "./linear-algebra.loops.ts";

/** A function to minimise: returns its value at `at` and writes its gradient there. */
export type Objective = (at: Float64Array, gradient: Float64Array) => number;

export interface LbfgsOptions {
  /** Stop once no element of the gradient is larger in absolute value. */
  readonly tolerance: number;
  readonly maxIterations: number;
  /** Number of past steps that approximate the curvature; 10 by default. */
  readonly memory?: number;
}

export interface Minimum {
  readonly at: Float64Array;
  readonly value: number;
  /** The largest absolute value of an element of the gradient. */
  readonly gradientMax: number;
  readonly iterations: number;
  /** Whether the tolerance was reached; otherwise the iterations ran out or no step lowers the value. */
  readonly converged: boolean;
}

/**
 * Minimises by L-BFGS (Liu and Nocedal 1989; Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 7.5)
 * with a strong Wolfe line search, from `start`, which it does not change.
 */
export function minimise(objective: Objective, start: Float64Array, options: LbfgsOptions): Minimum {
  const { tolerance, maxIterations, memory = 10 } = options;
  const gradientAt = (at: Float64Array) => {
    const gradient = new Float64Array(at.length);
    return { at, value: objective(at, gradient), gradient };
  };
  let here = gradientAt(Float64Array.from(start));
  let past: Curvature[] = [];
  let iterations = 0;
  while (maxSize(here.gradient) > tolerance && iterations < maxIterations) {
    const direction = descentDirection(here.gradient, past);
    const evaluate = (step: number): LinePoint & typeof here => {
      const at = Float64Array.from(here.at);
      addScaled(at, step, direction);
      const there = gradientAt(at);
      return { ...there, step, slope: dot(there.gradient, direction) };
    };
    const origin = { ...here, step: 0, slope: dot(here.gradient, direction) };
    const firstStep = past.length > 0 ? 1 : Math.min(1, 1 / Math.sqrt(dot(here.gradient, here.gradient)));
    const next = searchLine(evaluate, origin, firstStep);
    if (next === undefined) {
      if (past.length === 0) break;
      past = [];
      continue;
    }
    iterations++;
    past = remember(past, here, next, memory);
    here = next;
  }
  const gradientMax = maxSize(here.gradient);
  return { at: here.at, value: here.value, gradientMax, iterations, converged: gradientMax <= tolerance };
}

/** One past step, and the change of the gradient over it. */
interface Curvature {
  readonly step: Float64Array;
  readonly change: Float64Array;
  /** step · change, above zero. */
  readonly product: number;
}

interface Evaluated {
  readonly at: Float64Array;
  readonly gradient: Float64Array;
}

function remember(past: readonly Curvature[], from: Evaluated, to: Evaluated, memory: number): Curvature[] {
  const step = to.at.map((value, i) => value - (from.at[i] ?? Number.NaN));
  const change = to.gradient.map((value, i) => value - (from.gradient[i] ?? Number.NaN));
  const product = dot(step, change);
  const curved = product > Number.EPSILON * dot(change, change);
  return curved ? [...past, { step, change, product }].slice(-memory) : [...past];
}

/** Minus the inverse curvature times the gradient, by the two-loop recursion. */
function descentDirection(gradient: Float64Array, past: readonly Curvature[]): Float64Array {
  const direction = gradient.map((value) => -value);
  const shares = new Map<Curvature, number>();
  for (const pair of past.toReversed()) {
    const share = dot(pair.step, direction) / pair.product;
    shares.set(pair, share);
    addScaled(direction, -share, pair.change);
  }
  const last = past.at(-1);
  const scale = last === undefined ? 1 : last.product / dot(last.change, last.change);
  const scaled = direction.map((value) => value * scale);
  for (const pair of past) {
    const back = dot(pair.change, scaled) / pair.product;
    addScaled(scaled, (shares.get(pair) ?? 0) - back, pair.step);
  }
  return scaled;
}

function maxSize(vector: Float64Array): number {
  return vector.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
