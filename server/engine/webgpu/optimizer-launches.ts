/** AdamW as launches over arenas: blocks of parameters, in as few launches as buffers and binding sizes allow. */
import {
  type AdamWArenas,
  adamWBlock,
  adamWLaunch,
  blockFields,
  normLaunchOf,
  squaresLaunch,
} from "../../../kernels/adamw.ts";
import type { AdamWEntry, Update } from "../device.ts";
import { InvalidGraphError } from "../errors.ts";
import type { BoundLaunch } from "./commands.ts";
import type { Memory } from "./memory.ts";
import type { Span } from "./span.ts";
import { type BindingLimits, bindingAlignment, bytesOf, type Value } from "./values.ts";

export interface OptimizerPlan {
  readonly parameters: readonly AdamWEntry<Value>[];
  readonly settings: Value;
  readonly normName: string;
  /** The norm and the clipping factor. */
  readonly norm: Span;
}

export interface PlannedOptimizer {
  readonly norms: readonly BoundLaunch[];
  readonly steps: readonly BoundLaunch[];
  readonly plan: OptimizerPlan;
}

/**
 * Plans AdamW. Blocks with the same four buffers, within one binding's size, share a launch: with arenas, nearly all.
 */
export async function planOptimizer(
  update: Extract<Update<Value>, { kind: "adamW" }>,
  memory: Memory,
  limits: BindingLimits,
): Promise<PlannedOptimizer> {
  if (update.parameters.length === 0) throw new InvalidGraphError("adamW", "has no parameters");
  const blocks = update.parameters.flatMap((entry) => blocksOf(entry, memory, limits));
  const groups = [...Map.groupBy(blocks, bufferKey).values()].flatMap((own) => reachable(own, limits));
  const partial = await memory.scratch("gradient norm", Math.max(16, Math.ceil(blocks.length / 4) * 16));
  const norm = await memory.scratch("gradient norm", 16);
  const settings = memory.spanOf(update.settings);
  const norms: BoundLaunch[] = [];
  const steps: BoundLaunch[] = [];
  let first = 0;
  for (const group of groups) {
    const { names, spans } = arenasOf(group);
    const { length } = group.blocks;
    const table = await memory.upload("optimizer table", blockTable(group.blocks, spans));
    norms.push({ launch: squaresLaunch(length, first), spans: [spans.gradients, table, partial] });
    const launch = adamWLaunch(names, length);
    steps.push({ launch, spans: [...arenaSpans(launch.kernel.bindings, names, spans), table, settings, norm] });
    first += length;
  }
  norms.push({ launch: normLaunchOf(first), spans: [partial, settings, norm] });
  const { parameters, normName } = update;
  return { norms, steps, plan: { parameters, settings: update.settings, normName, norm } };
}

const roles = ["parameters", "gradients", "first", "second"] as const;
/** The spans of an entry's four values, or of parts of them. */
type EntrySpans = { readonly [K in (typeof roles)[number]]: Span };

function spansOf({ parameter, gradient, firstMoment, secondMoment }: AdamWEntry<Value>, memory: Memory): EntrySpans {
  return {
    parameters: memory.spanOf(parameter),
    gradients: memory.spanOf(gradient),
    first: memory.spanOf(firstMoment),
    second: memory.spanOf(secondMoment),
  };
}

/** Splits an entry into blocks of one workgroup each. */
function blocksOf(entry: AdamWEntry<Value>, memory: Memory, limits: BindingLimits): EntrySpans[] {
  const spans = spansOf(entry, memory);
  const total = bytesOf(entry.parameter);
  const length = Math.min(adamWBlock * 16, limits.bytes);
  return Array.from({ length: Math.ceil(total / length) }, (_, block) => {
    const part = ({ buffer, offset }: Span): Span => ({
      buffer,
      offset: offset + block * length,
      bytes: Math.min(length, total - block * length),
    });
    return mapRoles((role) => part(spans[role]));
  });
}

function mapRoles(make: (role: (typeof roles)[number]) => Span): EntrySpans {
  return {
    parameters: make("parameters"),
    gradients: make("gradients"),
    first: make("first"),
    second: make("second"),
  };
}

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

/** The blocks of one launch, and the span of each buffer that covers them. */
interface Reachable {
  readonly blocks: EntrySpans[];
  reach: ReadonlyMap<GPUBuffer, Span>;
}

/** Splits blocks of the same buffers into groups whose spans each fit one binding. */
function reachable(blocks: readonly EntrySpans[], { bytes: most }: BindingLimits): Reachable[] {
  const groups: Reachable[] = [];
  for (const block of blocks) {
    const last = groups.at(-1);
    const wider = widened(last?.reach ?? new Map(), block);
    if (last !== undefined && [...wider.values()].every(({ bytes }) => bytes <= most)) {
      last.blocks.push(block);
      last.reach = wider;
    } else groups.push({ blocks: [block], reach: widened(new Map(), block) });
  }
  return groups;
}

/** The spans, widened to cover another block. */
function widened(reach: ReadonlyMap<GPUBuffer, Span>, block: EntrySpans): Map<GPUBuffer, Span> {
  const wider = new Map(reach);
  for (const { buffer, offset, bytes } of Object.values(block)) {
    const known = wider.get(buffer);
    const start = Math.floor(Math.min(known?.offset ?? offset, offset) / bindingAlignment) * bindingAlignment;
    const end = Math.max(known === undefined ? 0 : known.offset + known.bytes, offset + bytes);
    wider.set(buffer, { buffer, offset: start, bytes: end - start });
  }
  return wider;
}

interface Arenas {
  /** One name per distinct buffer. */
  readonly names: AdamWArenas;
  /** The bound span of each; the table locates blocks within it. */
  readonly spans: EntrySpans;
}

function arenasOf({ blocks: [own], reach }: Reachable): Arenas {
  const buffers = [...reach.keys()];
  if (own === undefined) throw new InvalidGraphError("adamW", "has a launch without blocks");
  const name = (role: (typeof roles)[number]): string => `arena${buffers.indexOf(own[role].buffer)}`;
  return {
    names: {
      parameters: name("parameters"),
      gradients: name("gradients"),
      first: name("first"),
      second: name("second"),
    },
    spans: mapRoles((role) => reach.get(own[role].buffer) ?? own[role]),
  };
}

/** Rows of `blockFields` numbers, in units of four elements: a block's start in each bound span, and its length. */
function blockTable(group: readonly EntrySpans[], bound: EntrySpans): Uint32Array {
  const table = new Uint32Array(group.length * blockFields);
  for (const [index, block] of group.entries()) {
    const starts = roles.map((role) => (block[role].offset - bound[role].offset) / 16);
    table.set([...starts, block.parameters.bytes / 16], index * blockFields);
  }
  return table;
}

/** The spans of a step's arenas, in the order of its kernel's bindings. */
function arenaSpans(bindings: readonly { readonly name: string }[], names: AdamWArenas, spans: EntrySpans): Span[] {
  return bindings.flatMap(({ name }) => {
    const role = roles.find((candidate) => names[candidate] === name);
    return role === undefined ? [] : [spans[role]];
  });
}
