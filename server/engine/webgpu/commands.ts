/** From launches to GPU commands: compiled, bound, sliced below the watchdog's timeout, and grouped into submits. */
import { type Slice, slicedKernel, slicesOf } from "../../../kernels/slices.ts";
import type { Grid, Kernel, Launch } from "../../../kernels/wgsl.ts";
import { DeviceError } from "../errors.ts";
import type { LaunchContext, Span } from "./span.ts";
import { inWindows } from "./windows.ts";

export interface BoundLaunch {
  readonly launch: Launch;
  readonly spans: readonly Span[];
}

/** A launch or a slice of one with its bind group, ready to be recorded. */
export interface Command {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly params: Uint32Array<ArrayBuffer>;
  readonly grid: Grid;
  /** Estimated, in floating-point operations. */
  readonly work: number;
}

/** Maximum work per dispatch and per submit, in floating-point operations as `workOf` estimates them. */
export interface WorkLimits {
  readonly dispatch: number;
  readonly submit: number;
}

/**
 * Work limits that stay below the operating systems' GPU watchdogs. A watchdog resets a GPU that does not respond,
 * and every program on it loses its device: on Windows after 2 seconds, on macOS and with Linux's drivers after
 * somewhat more. It waits for the smallest unit that it can preempt: a dispatch or less on newer cards, a whole
 * command buffer on others, and Dawn creates one per submit (its queues flush to the driver at the end of `submit`).
 * So both are kept short: 0.2 and 0.8 seconds at 170 GFLOP/s, which is slow even for a small integrated GPU. On a
 * large card submits then take milliseconds, at an overhead of some tens of microseconds each; a step of a small
 * model stays one submit.
 */
export const defaultWorkLimits: WorkLimits = { dispatch: 2 ** 35, submit: 2 ** 37 };

/** Operations that take as long as one byte of memory traffic: 21 GB/s at 170 GFLOP/s. */
const operationsPerByte = 8;

/**
 * Estimated work. Kernels other than products and reductions are memory-bound: they access each bound byte about
 * once.
 */
export function workOf({ operations = 0 }: Launch, spans: readonly Pick<Span, "bytes">[]): number {
  return Math.max(operations, operationsPerByte * spans.reduce((sum, { bytes }) => sum + bytes, 0));
}

/**
 * Compiles and binds launches, and slices those above the work limit. Compiles all pipelines in parallel, equal ones
 * once.
 */
export async function prepare(context: LaunchContext, launches: readonly BoundLaunch[]): Promise<Command[]> {
  const prepared = await Promise.all(launches.map((launch) => prepareOne(context, launch)));
  return prepared.flat();
}

async function prepareOne(context: LaunchContext, given: BoundLaunch): Promise<Command[]> {
  const { launch, spans } = inWindows(given, context.limits);
  const work = workOf(launch, given.spans);
  const slices = work <= context.workLimits.dispatch ? [] : slicesOf(launch.grid, work / context.workLimits.dispatch);
  const kernel = slices.length > 1 ? slicedKernel(launch.kernel) : launch.kernel;
  if (spans.length !== kernel.bindings.length)
    throw new DeviceError(
      `kernel '${kernel.name}' binds ${kernel.bindings.length} buffers and was given ${spans.length}`,
    );
  const { pipeline, layout } = await context.pipeline(kernel);
  const bindGroup = context.device.createBindGroup({
    label: kernel.name,
    layout,
    entries: spans.map(({ buffer, offset, bytes }, binding) => ({
      binding,
      resource: { buffer, offset, size: bytes },
    })),
  });
  const command = (grid: Grid, params: readonly number[], part: number): Command => ({
    name: kernel.name,
    pipeline,
    bindGroup,
    params: encode(kernel, params),
    grid,
    work: work * part,
  });
  if (slices.length <= 1) return [command(launch.grid, launch.params, 1)];
  return slices.map(({ first, grid }: Slice) => command(grid, [...launch.params, first], 1 / slices.length));
}

function encode(kernel: Kernel, params: readonly number[]): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(kernel.params.length);
  const floats = new Float32Array(words.buffer);
  for (const [at, { type }] of kernel.params.entries()) {
    if (type === "f32") floats[at] = params[at] ?? Number.NaN;
    else words[at] = params[at] ?? 0;
  }
  return words;
}

/**
 * One submit. Results are copied between a program's steps and its updates, which may overwrite state that they view.
 */
export interface Submit {
  readonly steps: readonly Command[];
  readonly copiesResults: boolean;
  readonly updates: readonly Command[];
}

/** Groups commands, in order, into submits within the work limit or of a single command. At least one submit. */
export function planSubmits(steps: readonly Command[], updates: readonly Command[], limits: WorkLimits): Submit[] {
  const parts: Command[][] = [[]];
  let work = 0;
  for (const command of [...steps, ...updates]) {
    const last = parts.at(-1);
    if (last === undefined || (last.length > 0 && work + command.work > limits.submit)) {
      parts.push([command]);
      work = 0;
    } else last.push(command);
    work += command.work;
  }
  const own = new Set(updates);
  const lastStep = parts.findLastIndex((part) => part.some((command) => !own.has(command)));
  return parts.map((part, at) => ({
    steps: part.filter((command) => !own.has(command)),
    copiesResults: at === Math.max(0, lastStep),
    updates: part.filter((command) => own.has(command)),
  }));
}

export function record(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
  if (commands.length === 0) return;
  const pass = encoder.beginComputePass();
  let current: GPUComputePipeline | undefined;
  for (const { pipeline, bindGroup, params, grid, name } of commands) {
    pass.pushDebugGroup(name);
    if (pipeline !== current) pass.setPipeline(pipeline);
    current = pipeline;
    pass.setBindGroup(0, bindGroup);
    if (params.byteLength > 0) pass.setImmediates(0, params);
    pass.dispatchWorkgroups(...grid);
    pass.popDebugGroup();
  }
  pass.end();
}
