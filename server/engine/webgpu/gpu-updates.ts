/** Updates as launches: all gradient norms first, since none of a program's updates may happen when one is not finite. */
import {
  type AdamWArenas,
  adamWBlock,
  adamWLaunch,
  blockFields,
  normLaunchOf,
  squaresLaunch,
} from "../../../kernels/adamw.ts";
import { applyLaunch, writeAtLaunch } from "../../../kernels/updates.ts";
import type { AdamWEntry, Update } from "../device.ts";
import { DeviceError, InvalidGraphError } from "../errors.ts";
import type { Values } from "../graph.ts";
import type { Span } from "./context.ts";
import type { BoundLaunch, Memory } from "./memory.ts";
import { bytesOf, type Value } from "./values.ts";

export interface UpdatePlan {
  readonly launches: readonly BoundLaunch[];
  readonly optimizers: readonly OptimizerPlan[];
}

export interface OptimizerPlan {
  readonly parameters: readonly AdamWEntry<Value>[];
  readonly settings: Value;
  readonly normName: string;
  /** The norm and the clipping factor. */
  readonly norm: Span;
}

/** Launches for the updates in their order. Throws `InvalidGraphError` for a second optimizer. */
export async function planUpdates(updates: readonly Update<Value>[], memory: Memory): Promise<UpdatePlan> {
  const adamW = updates.filter((update) => update.kind === "adamW");
  const [first, second] = adamW;
  if (second !== undefined) throw new InvalidGraphError("adamW", "is there twice: a program has one optimizer");
  const optimizer = first === undefined ? undefined : await planOptimizer(first, memory);
  const launches = updates.flatMap((update) => {
    if (update.kind === "adamW") return optimizer?.steps ?? [];
    return [planWrite(update, memory, optimizer?.plan.norm)];
  });
  return {
    launches: [...(optimizer?.norms ?? []), ...launches],
    optimizers: optimizer === undefined ? [] : [optimizer.plan],
  };
}

/** Throws `DeviceError` where a write would go beyond its cache: `start` is an input, so that this is known before the run. */
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

interface PlannedOptimizer {
  readonly norms: readonly BoundLaunch[];
  readonly steps: readonly BoundLaunch[];
  readonly plan: OptimizerPlan;
}

/** Entries whose four values stand in the same four buffers are one launch: with arenas, all of them. */
async function planOptimizer(
  update: Extract<Update<Value>, { kind: "adamW" }>,
  memory: Memory,
): Promise<PlannedOptimizer> {
  const groups = Map.groupBy(update.parameters, (entry) => bufferKey(spansOf(entry, memory)));
  const tables = [...groups.values()].map((entries) => blockTable(entries, memory));
  const blocks = tables.reduce((sum, table) => sum + table.length / blockFields, 0);
  const partial = await memory.scratch("gradient norm", Math.max(16, Math.ceil(blocks / 4) * 16));
  const norm = await memory.scratch("gradient norm", 16);
  const settings = memory.spanOf(update.settings);
  const norms: BoundLaunch[] = [];
  const steps: BoundLaunch[] = [];
  let first = 0;
  for (const [index, entries] of [...groups.values()].entries()) {
    const table = tables[index] ?? new Uint32Array();
    const count = table.length / blockFields;
    const blockSpan = await memory.upload("optimizer table", table);
    const arenas = arenasOf(entries[0], memory);
    norms.push({ launch: squaresLaunch(count, first), spans: [arenas.spans.gradients, blockSpan, partial] });
    const launch = adamWLaunch(arenas.names, count);
    steps.push({ launch, spans: [...arenaSpans(launch.kernel.bindings, arenas), blockSpan, settings, norm] });
    first += count;
  }
  norms.push({ launch: normLaunchOf(first), spans: [partial, settings, norm] });
  const { parameters, normName } = update;
  return { norms, steps, plan: { parameters, settings: update.settings, normName, norm } };
}

interface EntrySpans {
  readonly parameters: Span;
  readonly gradients: Span;
  readonly first: Span;
  readonly second: Span;
}

function spansOf({ parameter, gradient, firstMoment, secondMoment }: AdamWEntry<Value>, memory: Memory): EntrySpans {
  return {
    parameters: memory.spanOf(parameter),
    gradients: memory.spanOf(gradient),
    first: memory.spanOf(firstMoment),
    second: memory.spanOf(secondMoment),
  };
}

const roles = ["parameters", "gradients", "first", "second"] as const;
const bufferNumbers = new WeakMap<GPUBuffer, number>();
let nextBuffer = 0;

function numberOf(buffer: GPUBuffer): number {
  const known = bufferNumbers.get(buffer);
  if (known !== undefined) return known;
  nextBuffer += 1;
  bufferNumbers.set(buffer, nextBuffer);
  return nextBuffer;
}

function bufferKey(spans: EntrySpans): string {
  return roles.map((role) => numberOf(spans[role].buffer)).join();
}

/** Rows of `blockFields` numbers, by four elements; a block is what one workgroup steps. */
function blockTable(entries: readonly AdamWEntry<Value>[], memory: Memory): Uint32Array {
  const rows: number[] = [];
  for (const entry of entries) {
    const spans = spansOf(entry, memory);
    const quads = bytesOf(entry.parameter) / 16;
    const starts = roles.map((role) => spans[role].offset / 16);
    for (let at = 0; at < quads; at += adamWBlock) {
      for (const start of starts) rows.push(start + at);
      rows.push(Math.min(adamWBlock, quads - at));
    }
  }
  return Uint32Array.from(rows);
}

interface Arenas {
  /** One name for each buffer. */
  readonly names: AdamWArenas;
  /** Whole buffers: blocks are found in them by the table. */
  readonly spans: EntrySpans;
}

function arenasOf(entry: AdamWEntry<Value> | undefined, memory: Memory): Arenas {
  if (entry === undefined) throw new InvalidGraphError("adamW", "has no parameters");
  const own = spansOf(entry, memory);
  const whole = ({ buffer }: Span): Span => ({ buffer, offset: 0, bytes: buffer.size });
  const buffers = [...new Set(roles.map((role) => own[role].buffer))];
  const name = (role: (typeof roles)[number]): string => `arena${buffers.indexOf(own[role].buffer)}`;
  return {
    names: {
      parameters: name("parameters"),
      gradients: name("gradients"),
      first: name("first"),
      second: name("second"),
    },
    spans: {
      parameters: whole(own.parameters),
      gradients: whole(own.gradients),
      first: whole(own.first),
      second: whole(own.second),
    },
  };
}

/** The spans of a step's arenas, in the order of its kernel's bindings. */
function arenaSpans(bindings: readonly { readonly name: string }[], { names, spans }: Arenas): Span[] {
  return bindings.flatMap(({ name }) => {
    const role = roles.find((candidate) => names[candidate] === name);
    return role === undefined ? [] : [spans[role]];
  });
}
