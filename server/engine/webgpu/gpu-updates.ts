/** Plans updates as launches. The gradient norm comes first: if it is not finite, no update may happen. */
import { applyLaunch, writeAtLaunch } from "../../../kernels/updates.ts";
import type { Update } from "../device.ts";
import { DeviceError, InvalidGraphError } from "../errors.ts";
import type { Values } from "../graph.ts";
import type { BoundLaunch } from "./commands.ts";
import type { Memory } from "./memory.ts";
import { type OptimizerPlan, planOptimizer } from "./optimizer-launches.ts";
import type { Span } from "./span.ts";
import type { BindingLimits, Value } from "./values.ts";

export interface UpdatePlan {
  readonly launches: readonly BoundLaunch[];
  readonly optimizers: readonly OptimizerPlan[];
}

/** Launches for the updates in their order. Throws `InvalidGraphError` for a second optimizer. */
export async function planUpdates(
  updates: readonly Update<Value>[],
  memory: Memory,
  limits: BindingLimits,
): Promise<UpdatePlan> {
  const adamW = updates.filter((update) => update.kind === "adamW");
  const [first, second] = adamW;
  if (second !== undefined) throw new InvalidGraphError("adamW", "is there twice: a program has one optimizer");
  const optimizer = first === undefined ? undefined : await planOptimizer(first, memory, limits);
  const launches = updates.flatMap((update) => {
    if (update.kind === "adamW") return optimizer?.steps ?? [];
    return [planWrite(update, memory, optimizer?.plan.norm)];
  });
  return {
    launches: [...(optimizer?.norms ?? []), ...launches],
    optimizers: optimizer === undefined ? [] : [optimizer.plan],
  };
}

/** Throws `DeviceError` if a write would go beyond its cache; `start` is an input, so this is known before the run. */
export function checkWrites(updates: readonly Update<Value>[], inputs: Readonly<Record<string, Values>>): void {
  for (const update of updates) {
    if (update.kind !== "writeAt") continue;
    const { S, T } = placesOf(update);
    const start = update.start.place.kind === "input" ? (inputs[update.start.place.name]?.[0] ?? 0) : 0;
    if (start < 0 || start + T > S) throw new DeviceError(`places ${start} to ${start + T} do not fit a cache of ${S}`);
  }
}

type Write = Exclude<Update<Value>, { kind: "adamW" }>;

function planWrite(update: Write, memory: Memory, norm: Span | undefined): BoundLaunch {
  const [to, value] = [memory.spanOf(update.target), memory.spanOf(update.value)];
  const guard = norm === undefined ? [] : [norm];
  const sharesBuffer = to.buffer === value.buffer;
  if (update.kind === "writeAt") {
    const { S, T, D, rows } = placesOf(update);
    const launch = writeAtLaunch({ rows, S, T, D }, { guarded: norm !== undefined, sharesBuffer });
    return { launch, spans: [to, value, memory.spanOf(update.start), ...guard] };
  }
  const { dtype, size } = update.target;
  const launch = applyLaunch(update.kind, dtype, size, { guarded: norm !== undefined, sharesBuffer });
  return { launch, spans: [to, value, ...guard] };
}

function placesOf({ target, value }: Extract<Write, { kind: "writeAt" }>): {
  rows: number;
  S: number;
  T: number;
  D: number;
} {
  const [B = 1, H = 1, S = 1, D = 1] = target.shape;
  return { rows: B * H, S, T: value.size / (B * H * D), D };
}
