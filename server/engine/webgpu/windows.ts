/** Launches on tensors larger than one binding, and the check for launches that are impossible. */
import type { NarrowFloat } from "../../../kernels/widen.ts";
import { type Windows, windowedKernel } from "../../../kernels/windows.ts";
import { DeviceError } from "../errors.ts";
import type { GpuPlan } from "./planner.ts";
import type { Span } from "./span.ts";
import {
  type BindingLimits,
  bytesOf,
  elementBytesOf,
  type Step,
  sizeText,
  type Value,
  wholeOf,
  windowCount,
} from "./values.ts";

/** Maximum elements of a tensor: indices have 32 bits, and a launch may count a little past the end. */
const mostElements = 2 ** 32 - 2 ** 26;

/**
 * Throws `DeviceError` for a tensor larger than any buffer, and for a kernel with more bindings than the adapter
 * allows.
 */
export function checkSizes({ steps }: GpuPlan, limits: BindingLimits): void {
  for (const step of steps) {
    for (const value of step.values) checkSize(step, wholeOf(value), limits);
    const needed = step.values.reduce((sum, value) => sum + windowCount(bytesOf(value), limits), 0);
    if (needed > limits.count) throw new DeviceError(tooMany(step, needed, limits));
  }
}

function checkSize({ launch }: Step, value: Value, { bufferBytes }: BindingLimits): void {
  const bytes = bytesOf(value);
  const most = Math.min(bufferBytes, mostElements * elementBytesOf(value));
  if (bytes <= most) return;
  const what = `${nameOf(value)} of the kernel '${launch.kernel.name}' takes ${sizeText(bytes)}`;
  throw new DeviceError(`${what}, but one tensor of this GPU holds ${sizeText(most)} at most: ${adviceFor(value)}`);
}

function tooMany({ launch, values }: Step, needed: number, limits: BindingLimits): string {
  const sizes = values.filter((value) => windowCount(bytesOf(value), limits) > 1);
  const largest = sizes.toSorted((a, b) => b.size - a.size)[0];
  const names = sizes.map((value) => `${nameOf(value)} of ${sizeText(bytesOf(value))}`).join(", ");
  return (
    `the kernel '${launch.kernel.name}' cannot reach all of ${names}: this GPU binds ${sizeText(limits.bytes)} at once, so that ${needed} ` +
    `bindings are needed, and it has ${limits.count}: ${largest === undefined ? batchAdvice : adviceFor(largest)}`
  );
}

const batchAdvice = "take a smaller batch or shorter texts";

function adviceFor({ place }: Value): string {
  return place.kind === "state" || place.kind === "gradient"
    ? "compute on the CPU, or take a model with a smaller vocabulary"
    : batchAdvice;
}

function nameOf({ place, shape }: Value): string {
  const extents = `[${shape.join(", ")}]`;
  if (place.kind === "state" || place.kind === "input") return `${place.kind} '${place.name}' ${extents}`;
  return `${place.kind === "gradient" ? "the gradient" : "the tensor"} ${extents}`;
}

/**
 * The launch with spans larger than one binding replaced by windows, and its reads of narrow spans widened. Throws
 * `DeviceError` for too many bindings.
 */
export function inWindows<T extends { readonly launch: Step["launch"]; readonly spans: readonly Span[] }>(
  bound: T,
  limits: BindingLimits,
): Pick<T, "launch" | "spans"> {
  const { launch, spans } = bound;
  if (spans.every((span) => span.bytes <= limits.bytes && narrowOf(span) === undefined)) return bound;
  const windows = new Map<string, Windows>();
  const cut = spans.flatMap((span, at) => {
    const name = launch.kernel.bindings[at]?.name ?? "";
    windows.set(name, { count: windowCount(span.bytes, limits), bytes: limits.bytes, stored: narrowOf(span) });
    return windowsOf(span, limits);
  });
  if (cut.length > limits.count)
    throw new DeviceError(
      `the kernel '${launch.kernel.name}' needs ${cut.length} bindings, since this GPU binds ${sizeText(limits.bytes)} at once, and it has ${limits.count}: ${batchAdvice}`,
    );
  return { launch: { ...launch, kernel: windowedKernel(launch.kernel, windows) }, spans: cut };
}

function narrowOf({ stored = "f32" }: Span): NarrowFloat | undefined {
  return stored === "f32" ? undefined : stored;
}

function windowsOf({ buffer, offset, bytes }: Span, limits: BindingLimits): Span[] {
  return Array.from({ length: windowCount(bytes, limits) }, (_, at) => {
    const start = at === 0 ? 0 : at * limits.bytes;
    return { buffer, offset: offset + start, bytes: Math.min(bytes - start, limits.bytes) };
  });
}
