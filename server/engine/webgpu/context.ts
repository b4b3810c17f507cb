import { setTimeout as sleep } from "node:timers/promises";
import type { Kernel } from "../../../kernels/wgsl.ts";
import { messageOf } from "../../common/errors.ts";
import { DeviceError, DeviceLostError } from "../errors.ts";
import type { AdapterTraits, OpenedAdapter } from "./adapter.ts";
import { MemoryLedger, type MemoryLimit } from "./admission.ts";
import { type Command, defaultWorkLimits, type WorkLimits } from "./commands.ts";
import type { Pipeline } from "./span.ts";
import { type BindingLimits, bindingAlignment, sizeText } from "./values.ts";

/** Numbers that the standard fixes; the package's globals would have to be installed to name them. */
export const bufferUsage = { mapRead: 1, copySource: 4, copyTarget: 8, storage: 128 } as const;
const mapForReading = 1;
const computeStage = 4;

type Work = Pick<Command, "name" | "work">;

export interface ContextOptions {
  /** Memory that may be used; more is refused before anything is allocated. By default whatever the driver gives. */
  readonly memory?: MemoryLimit | undefined;
  /** Of a tensor that a kernel binds at once, where that shall be less than the adapter allows. */
  readonly maxBindingBytes?: number;
  /** Of a dispatch and of a submit, where that shall be less than is safe everywhere. */
  readonly workLimits?: WorkLimits;
}

/**
 * The adapter's device with everything that may go wrong with it: Dawn drops work that it finds invalid or has no memory for and
 * goes on, so every error is kept and thrown to whoever waits next.
 */
export class GpuContext {
  readonly device: GPUDevice;
  readonly traits: AdapterTraits;
  /** Held here, because Dawn ends when nobody holds it. */
  readonly instance: GPU;
  readonly limits: BindingLimits;
  readonly workLimits: WorkLimits;
  /** What is held. */
  readonly memory: MemoryLedger;
  readonly #kinds = new Map<GPUBuffer, string>();
  readonly #pipelines = new Map<string, Promise<Pipeline>>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  #failure: DeviceError | undefined;
  #closed: DeviceError | undefined;
  #last: Promise<unknown> = Promise.resolve();
  /** What was handed over last, while nobody has its results. */
  #inHand: readonly Work[] = [];

  constructor({ device, traits, instance }: OpenedAdapter, options: ContextOptions = {}) {
    const { memory, maxBindingBytes = Number.POSITIVE_INFINITY, workLimits = defaultWorkLimits } = options;
    const { maxStorageBufferBindingSize, maxStorageBuffersPerShaderStage, maxBufferSize } = device.limits;
    const most = Math.min(maxStorageBufferBindingSize, maxBindingBytes);
    this.limits = {
      bytes: Math.floor(most / bindingAlignment) * bindingAlignment,
      count: maxStorageBuffersPerShaderStage,
      bufferBytes: maxBufferSize,
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

  /** Runs work after all work that was asked for before, alone. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => {
      this.check();
      return work();
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** Throws what went wrong since the device was opened: nothing that it computed afterwards can be trusted. */
  check(): void {
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Hands over what was recorded from some commands. */
  submit(commands: readonly Work[], encoder: GPUCommandEncoder): void {
    this.#inHand = commands;
    this.device.queue.submit([encoder.finish()]);
  }

  /** A buffer, zeroed; `what` is how it is counted. Throws `DeviceError` when there is no memory for it. */
  async allocate(what: string, bytes: number, usage: number): Promise<GPUBuffer> {
    const limit = this.device.limits.maxBufferSize;
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

  /** The pipeline of a kernel, made once for equal text. Throws `DeviceError` naming the kernel. */
  pipeline(kernel: Kernel): Promise<Pipeline> {
    const known = this.#pipelines.get(kernel.code);
    if (known !== undefined) return known;
    const made = this.#makePipeline(kernel);
    this.#pipelines.set(kernel.code, made);
    return made;
  }

  /** The bytes of a buffer made for reading, when all work before is done. `expectedMs` is how long that took before. */
  async readMapped(buffer: GPUBuffer, bytes: number, expectedMs: number): Promise<ArrayBuffer> {
    // Dawn's wait keeps a core busy, so most of the time is slept through first.
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

  /** Ends the device: what waits is refused. */
  async close(): Promise<void> {
    this.#closed ??= new DeviceError("the device was closed");
    await this.#last;
    this.device.destroy();
    await this.device.lost;
  }

  async #makePipeline(kernel: Kernel): Promise<Pipeline> {
    const { name, code, bindings, params } = kernel;
    const layout = this.#layout(bindings.map(({ access }) => access));
    // Caught here, an error concerns this kernel and not the device.
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

/** Dawn's messages end in a trace of what it was doing; the first lines say what is wrong. */
function firstLines(message: string): string {
  return message.split("\n").slice(0, 3).join(" ").trim();
}
