/**
 * Reads pickles of tensors without running anything: a stack machine for the instructions that PyTorch writes
 * (https://github.com/python/cpython/blob/main/Lib/pickletools.py describes all), in which a name of Python code is one of
 * the few listed below or an error. Storages stay references until `torch-file.ts` reads them.
 */
import { SaeFormatError } from "../errors.ts";
import { PickleReader } from "./pickle-reader.ts";
import type { Global, PickleValue, StorageReference, TensorReference } from "./pickle-values.ts";

/** Calls that may stand in the file, and what they give here. */
const calls: Readonly<Record<string, (args: readonly PickleValue[], path: string) => PickleValue>> = {
  "collections.OrderedDict": () => new Map(),
  "torch._utils._rebuild_tensor_v2": (args, path) => tensorOf(args, path),
  "torch._utils._rebuild_parameter": ([tensor], path) => {
    if (!isTensor(tensor)) throw unsound(path, "a parameter without a tensor");
    return tensor;
  },
};
const storages = /^torch\.(Float|Half|BFloat16|Double|Int|Long)Storage$/;

/** The value of a pickle. Throws `SaeFormatError` for code that is not of tensors, and for damage. */
export function readPickle(bytes: Buffer, path: string): PickleValue {
  const reader = new PickleReader(bytes, path, {
    global: (name) => {
      if (!Object.hasOwn(calls, name) && !storages.test(name))
        throw new SaeFormatError(
          `${path} calls ${name.slice(0, 100)} when Python reads it. LFP Lens reads tensors and runs nothing: if you trust the file, load it in Python and save its state_dict alone`,
        );
      return { kind: "global", name };
    },
    call: (target, args) => {
      const run = isGlobal(target) && Object.hasOwn(calls, target.name) ? calls[target.name] : undefined;
      if (run === undefined) throw unsound(path, "a call of something else than the names of tensors");
      return run(args, path);
    },
    persistent: (id) => {
      const [word, type, key] = Array.isArray(id) ? id : [];
      if (word !== "storage" || !isGlobal(type) || typeof key !== "string") throw unsound(path, "an unknown reference");
      return { kind: "storage", type: type.name, key };
    },
  });
  return reader.read();
}

function tensorOf([storage, offset, shape, strides]: readonly PickleValue[], path: string): TensorReference {
  const sizes = (value: PickleValue | undefined): number[] => {
    if (!Array.isArray(value) || !value.every((size) => typeof size === "number"))
      throw unsound(path, "a tensor without a shape");
    return value;
  };
  if (!isStorage(storage) || typeof offset !== "number") throw unsound(path, "a tensor without numbers");
  return { kind: "tensor", storage, offset, shape: sizes(shape), strides: sizes(strides) };
}

export function isTensor(value: PickleValue | undefined): value is TensorReference {
  return hasKind(value) && value.kind === "tensor";
}

function isGlobal(value: PickleValue | undefined): value is Global {
  return hasKind(value) && value.kind === "global";
}

function isStorage(value: PickleValue | undefined): value is StorageReference {
  return hasKind(value) && value.kind === "storage";
}

function hasKind(value: PickleValue | undefined): value is Global | StorageReference | TensorReference {
  return typeof value === "object" && value !== null && "kind" in value;
}

function unsound(path: string, detail: string): SaeFormatError {
  return new SaeFormatError(`${path} holds ${detail}; expected a dictionary of tensors (a state_dict)`);
}
