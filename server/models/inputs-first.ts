/** Matrices that files hold as [inputs, out], as GPT-2's do: read and written as the [out, inputs] of a Linear. */
import type { StoredValues, TensorInfo, TensorSource } from "./safetensors.ts";
import { transposed, transposedHalf } from "./transpose.loops.ts";

/** The source with the matrices whose names match `inputsFirst` transposed; `readBytes` stays as the file has it. */
export function outFirst(source: TensorSource, inputsFirst: RegExp | undefined): TensorSource {
  return inputsFirst === undefined ? source : new OutFirst(source, inputsFirst);
}

class OutFirst implements TensorSource {
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly #source: TensorSource;
  readonly #inputsFirst: RegExp;

  constructor(source: TensorSource, inputsFirst: RegExp) {
    this.#source = source;
    this.#inputsFirst = inputsFirst;
    const turned = ([name, info]: readonly [string, TensorInfo]) =>
      [name, this.#isTurned(name, info) ? { ...info, shape: info.shape.toReversed() } : info] as const;
    this.tensors = new Map([...source.tensors].map(turned));
  }

  get path(): string {
    return this.#source.path;
  }

  get metadata(): ReadonlyMap<string, string> {
    return this.#source.metadata;
  }

  async readFloat32(name: string, options?: { readonly requireFinite?: boolean }): Promise<Float32Array<ArrayBuffer>> {
    const values = await this.#source.readFloat32(name, options);
    const info = this.#source.tensors.get(name);
    const [inputs = 0, out = 0] = info?.shape ?? [];
    return info !== undefined && this.#isTurned(name, info) ? transposed(values, inputs, out) : values;
  }

  async readStored(name: string): Promise<StoredValues> {
    const { stored, values } = await this.#source.readStored(name);
    const info = this.#source.tensors.get(name);
    if (info === undefined || !this.#isTurned(name, info)) return { stored, values };
    const [inputs = 0, out = 0] = info.shape;
    return {
      stored,
      values: values instanceof Uint16Array ? transposedHalf(values, inputs, out) : transposed(values, inputs, out),
    };
  }

  readBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.#source.readBytes(name);
  }

  close(): Promise<void> {
    return this.#source.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #isTurned(name: string, { shape }: TensorInfo): boolean {
    return shape.length === 2 && this.#inputsFirst.test(name);
  }
}
