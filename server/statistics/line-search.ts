/** A point on a line through a function's domain: distance along the line, and value and slope there. */
export interface LinePoint {
  readonly step: number;
  readonly value: number;
  readonly slope: number;
}

/**
 * Wolfe conditions: a step must achieve this share of the decrease that the slope predicts, and end where at most
 * that share of the slope is left.
 */
const SUFFICIENT_DECREASE = 1e-4;
const REMAINING_SLOPE = 0.9;
const MAX_EVALUATIONS = 40;

/**
 * A step along a descent direction that meets the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization,
 * algorithms 3.5 and 3.6, with cubic interpolation). Near a minimum values differ by less than their rounding, so an
 * increase of 64 units in the last place passes and the slope decides. Undefined when no such step is found.
 */
export function searchLine<Point extends LinePoint>(
  evaluate: (step: number) => Point,
  origin: Point,
  firstStep: number,
): Point | undefined {
  if (!(origin.slope < 0)) return undefined;
  let before = origin;
  let step = firstStep;
  for (let count = 1; count <= MAX_EVALUATIONS; count++) {
    const here = evaluate(step);
    if (tooHigh(here, origin) || (count > 1 && here.value >= before.value + rounding(origin)))
      return zoom(evaluate, origin, before, here);
    if (flatEnough(here, origin)) return here;
    if (here.slope >= 0) return zoom(evaluate, origin, here, before);
    before = here;
    step *= 2;
  }
  return undefined;
}

/** Narrows the interval between `low`, the better end whose slope points inside, and `high`. */
function zoom<Point extends LinePoint>(
  evaluate: (step: number) => Point,
  origin: Point,
  low: Point,
  high: Point,
): Point | undefined {
  for (let count = 1; count <= MAX_EVALUATIONS; count++) {
    const step = stepBetween(low, high);
    if (step === low.step || step === high.step) break;
    const here = evaluate(step);
    if (tooHigh(here, origin) || here.value >= low.value + rounding(origin)) high = here;
    else {
      if (flatEnough(here, origin)) return here;
      if (here.slope * (high.step - low.step) >= 0) high = low;
      low = here;
    }
  }
  return low.value < origin.value ? low : undefined;
}

function tooHigh(here: LinePoint, origin: LinePoint): boolean {
  return !(here.value <= origin.value + SUFFICIENT_DECREASE * here.step * origin.slope + rounding(origin));
}

function flatEnough(here: LinePoint, origin: LinePoint): boolean {
  return Math.abs(here.slope) <= -REMAINING_SLOPE * origin.slope;
}

function rounding(origin: LinePoint): number {
  return 64 * Number.EPSILON * Math.max(1, Math.abs(origin.value));
}

/** The minimum of the cubic through both ends, kept away from the ends; the midpoint if the cubic has no minimum. */
function stepBetween(a: LinePoint, b: LinePoint): number {
  const width = b.step - a.step;
  const chord = a.slope + b.slope - (3 * (b.value - a.value)) / width;
  const root = Math.sign(width) * Math.sqrt(chord * chord - a.slope * b.slope);
  const share = 1 - (b.slope + root - chord) / (b.slope - a.slope + 2 * root);
  const safe = Number.isFinite(share) ? Math.min(0.9, Math.max(0.1, share)) : 0.5;
  return a.step + safe * width;
}
