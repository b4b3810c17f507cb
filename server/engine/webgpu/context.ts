import { setTimeout as sleep } from "node:timers/promises";
import type { Kernel } from "../../../kernels/wgsl.ts";
import { messageOf } from "../../common/errors.ts";
import { DeviceError, DeviceLostError } from "../errors.ts";
import type { AdapterTraits, OpenedAdapter } from "./adapter.ts";
import { MemoryLedger, type MemoryLimit } from "./admission.ts";
import { type Command, defaultWorkLimits, type WorkLimits } from "./commands.ts";
import type { Pipeline } from "./span.ts";
import { type BindingLimits, bindingAlignment, sizeText } from "./values.ts";

/** Flags with the standard's values; the named constants would require installing the package's globals. */
export const bufferUsage = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 128 } as const;
const mapForReading = 1;
const computeStage = 4;

type Work = Pick<Command, "name" | "work">;

export interface ContextOptions {
  /** Memory limit; allocations beyond it are refused up front. By default only the driver limits memory. */
  readonly memory?: MemoryLimit | undefined;
  /** Maximum bytes of one binding, to go below the adapter's limit. */
  readonly maxBindingBytes?: number | undefined;
  /** Maximum bytes of one buffer, to go below the adapter's limit. */
  readonly maxBufferBytes?: number | undefined;
  /** Maximum work of a dispatch and of a submit; `defaultWorkLimits` by default. */
  readonly workLimits?: WorkLimits | undefined;
}

/**
 * The adapter's device with its error handling. Dawn drops invalid work and work without memory, and continues; so the
 * context keeps the first error and throws it to every later caller.
 */
export class GpuContext {
  readonly device: GPUDevice;
  readonly traits: AdapterTraits;
  /** Kept alive here: Dawn shuts down when its instance is garbage-collected. */
  readonly instance: GPU;
  readonly limits: BindingLimits;
  readonly workLimits: WorkLimits;
  /** Allocated memory, by purpose. */
  readonly memory: MemoryLedger;
  readonly #kinds = new Map<GPUBuffer, string>();
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  #failure: DeviceError | undefined;
  #closed: DeviceError | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** The last submit's commands, until its results have been read. */
  #inHand: readonly Work[] = [];

  constructor({ device, traits, instance }: OpenedAdapter, options: ContextOptions = {}) {
    const { memory, workLimits = defaultWorkLimits } = options;
    const { maxBindingBytes = Number.POSITIVE_INFINITY, maxBufferBytes = Number.POSITIVE_INFINITY } = options;
    const { maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage, maxBufferSize } = device.limits;
    const most = Math.min(maxStorageBufferBindingSize, maxBindingBytes);
    this.limits = {
      bytes: Math.floor(most / bindingAlignment) * bindingAlignment,
      count: maxStorageBuffersPerShaderStage,
      bufferBytes: Math.min(maxBufferSize, maxBufferBytes),
    };
    this.workLimits = workLimits;
    this.device = device;
    this.traits = traits;
    this.instance = instance;
    this.memory = new MemoryLedger(memory);
    device.addEventListener("uncapturederror", (event) => {
      this.#failure ??= new DeviceError(`the GPU refused work: ${firstLines(event.error.message)}`);
    });
    void device.lost.then(({ reason, message }) => {
      if (this.#closed === undefined)
        this.#failure ??= new DeviceLostError(message === "" ? reason : firstLines(message), longestOf(this.#inHand));
    });
  }

  /** Queues work: it runs alone, after all work queued earlier. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      this.check();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Throws the device's first error, if any: nothing computed after it can be trusted. */
  check(): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Submits an encoder that recorded these commands. */
  submit(commands: readonly Work[], encoder: GPUCommandEncoder): void {
    this.#inHand = commands;
    this.device.queue.submit([encoder.finish()]);
  }

  /** Allocates a zeroed buffer, accounted for under `what`. Throws `DeviceError` when memory does not suffice. */
  async allocate(what: string, bytes: number, usage: number): Promise<GPUBuffer> {
    const limit = this.limits.bufferBytes;
    if (bytes > limit)
      throw new DeviceError(
        `${what} needs ${sizeText(bytes)} at once; this GPU's buffers hold ${sizeText(limit)} at most`,
      );
    this.device.pushErrorScope("out-of-memory");
    this.device.pushErrorScope("validation");
    const buffer = this.device.createBuffer({ label: what, size: Math.max(256, bytes), usage });
    const problems = await Promise.all([this.device.popErrorScope(), this.device.popErrorScope()]);
    const problem = problems.find((error) => error !== null);
    if (problem != null) {
      buffer.destroy();
      const held = this.memory.heldText();
      throw new DeviceError(`the GPU has no ${sizeText(bytes)} for ${what}; ${held}: ${firstLines(problem.message)}`);
    }
    this.#kinds.set(buffer, what);
    this.memory.add({ what, bytes: buffer.size });
    return buffer;
  }

  release(buffer: GPUBuffer): void {
    this.memory.remove({ what: this.#kinds.get(buffer) ?? "", bytes: buffer.size });
    this.#kinds.delete(buffer);
    buffer.destroy();
  }

  /** The pipeline of a kernel, cached by text. Throws `DeviceError` naming the kernel. */
  pipeline(kernel: Kernel): Promise<Pipeline> {
    const known = this.#pipelines.get(kernel.code);
    if (known !== undefined) return known;
    const made = this.#makePipeline(kernel);
    this.#pipelines.set(kernel.code, made);
    return made;
  }

  /** Reads a mappable buffer after all earlier work. `expectedMs` is how long that took last time. */
  async readMapped(buffer: GPUBuffer, bytes: number, expectedMs: number): Promise<ArrayBuffer> {
    // Dawn's wait spins on a core, so sleep through most of the time first.
    if (expectedMs > 4) await sleep(expectedMs * 0.8);
    try {
      await buffer.mapAsync(mapForReading, 0, bytes);
    } catch (cause) {
      this.check();
      throw new DeviceError(`the GPU's results cannot be read: ${messageOf(cause)}`);
    }
    this.#inHand = [];
    try {
      this.check();
      return buffer.getMappedRange(0, bytes).slice(0);
    } finally {
      buffer.unmap();
    }
  }

  /** Closes the device and rejects queued work. */
  async close(): Promise<void> {
    this.#closed ??= new DeviceError("the device was closed");
    await this.#last;
    this.device.destroy();
    await this.device.lost;
  }

  async #makePipeline(kernel: Kernel): Promise<Pipeline> {
    const { name, code, bindings, params } = kernel;
    const layout = this.#layout(bindings.map(({ access }) => access));
    // With an error scope, an error concerns this kernel and not the whole device.
    this.device.pushErrorScope("validation");
    const module = this.device.createShaderModule({ label: name, code });
    const invalid = this.device.popErrorScope();
    try {
      const pipeline = await this.device.createComputePipelineAsync({
        label: name,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout], immediateSize: params.length * 4 }),
        compute: { module, entryPoint: "main" },
      });
      return { pipeline, layout };
    } catch (cause) {
      this.check();
      const reason = firstLines((await invalid)?.message ?? messageOf(cause));
      throw new DeviceError(`the GPU's compiler refused the kernel '${name}': ${reason}`, { cause });
    }
  }

  #layout(accesses: readonly ("read" | "read_write")[]): GPUBindGroupLayout {
    const key = accesses.join();
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const layout = this.device.createBindGroupLayout({
      entries: accesses.map((access, binding) => ({
        binding,
        visibility: computeStage,
        buffer: { type: access === "read" ? "read-only-storage" : "storage" },
      })),
    });
    this.#layouts.set(key, layout);
    return layout;
  }
}

function longestOf(commands: readonly Work[]): string | undefined {
  return commands.toSorted((a, b) => b.work - a.work)[0]?.name;
}

/** The first lines of Dawn's message, which say what is wrong; the rest traces what Dawn was doing. */
function firstLines(message: string): string {
  return message.split("\n").slice(0, 3).join(" ").trim();
}
