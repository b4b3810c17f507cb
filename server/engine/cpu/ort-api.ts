/** ONNX Runtime's C API, called in the shared library that onnxruntime-node ships. */
import { findPackageJSON } from "node:module";
import { dirname, join } from "node:path";
import type { default as Koffi, LibraryHandle } from "koffi";
import { messageOf } from "../../common/errors.ts";
import { DeviceError } from "../errors.ts";

/** An address of native memory, or a handle; null: the null pointer. */
export type Address = bigint;
/** Null: the call succeeded. Else an error, which `OrtApi.check` reads and releases. */
type Status = Address | null;
/** Native code reads or writes it in place; koffi passes the address of its first byte. */
type Memory = Uint8Array | Uint16Array | Float32Array | Int32Array | BigInt64Array | BigUint64Array;

/** The functions of `OrtApi` that we call. A handle that a function creates is written to `out`. */
interface OrtFunctions {
  getErrorMessage(status: Address): string;
  createEnv(logLevel: number, logId: string, out: Memory): Status;
  createSessionFromArray(env: Address, model: Memory, bytes: number, options: Address, out: Memory): Status;
  createSessionOptions(out: Memory): Status;
  setSessionExecutionMode(options: Address, mode: number): Status;
  disableMemPattern(options: Address): Status;
  setSessionLogSeverityLevel(options: Address, level: number): Status;
  setSessionGraphOptimizationLevel(options: Address, level: number): Status;
  setIntraOpNumThreads(options: Address, threads: number): Status;
  setInterOpNumThreads(options: Address, threads: number): Status;
  createTensorWithDataAsOrtValue(
    memoryInfo: Address,
    data: Memory,
    bytes: number,
    shape: Memory,
    rank: number,
    elementType: number,
    out: Memory,
  ): Status;
  createCpuMemoryInfo(allocator: number, memoryType: number, out: Memory): Status;
  releaseStatus(status: Address): void;
  releaseSession(session: Address): void;
  releaseValue(value: Address): void;
  releaseSessionOptions(options: Address): void;
  addSessionConfigEntry(options: Address, key: string, value: string): Status;
  runWithBinding(session: Address, runOptions: null, binding: Address): Status;
  createIoBinding(session: Address, out: Memory): Status;
  releaseIoBinding(binding: Address): void;
  bindInput(binding: Address, name: string, value: Address): Status;
  bindOutput(binding: Address, name: string, value: Address): Status;
  addExternalInitializersFromFilesInMemory(
    options: Address,
    names: Memory,
    buffers: Memory,
    lengths: Memory,
    count: number,
  ): Status;
}

type Declaration = readonly [index: number, result: string, ...parameters: string[]];

const pointer = "void *";

/**
 * Each function's place in the table of function pointers `OrtApi`, its result and its parameters. Source: `struct OrtApi` in
 * include/onnxruntime/core/session/onnxruntime_c_api.h of ONNX Runtime, as two public bindings of it count the places. Releases
 * only append to the table ("All new functions must be added at the end"; static assertions in its source hold the places).
 */
const declarations: { readonly [K in keyof OrtFunctions]: Declaration } = {
  getErrorMessage: [2, "str", pointer],
  createEnv: [3, pointer, "int", "str", pointer],
  createSessionFromArray: [8, pointer, pointer, pointer, "size_t", pointer, pointer],
  createSessionOptions: [10, pointer, pointer],
  setSessionExecutionMode: [13, pointer, pointer, "int"],
  disableMemPattern: [17, pointer, pointer],
  setSessionLogSeverityLevel: [22, pointer, pointer, "int"],
  setSessionGraphOptimizationLevel: [23, pointer, pointer, "int"],
  setIntraOpNumThreads: [24, pointer, pointer, "int"],
  setInterOpNumThreads: [25, pointer, pointer, "int"],
  createTensorWithDataAsOrtValue: [49, pointer, pointer, pointer, "size_t", pointer, "size_t", "int", pointer],
  createCpuMemoryInfo: [69, pointer, "int", "int", pointer],
  releaseStatus: [93, "void", pointer],
  releaseSession: [95, "void", pointer],
  releaseValue: [96, "void", pointer],
  releaseSessionOptions: [100, "void", pointer],
  addSessionConfigEntry: [130, pointer, pointer, "str", "str"],
  runWithBinding: [133, pointer, pointer, pointer, pointer],
  createIoBinding: [134, pointer, pointer, pointer],
  releaseIoBinding: [135, "void", pointer],
  bindInput: [136, pointer, pointer, "str", pointer],
  bindOutput: [137, pointer, pointer, "str", pointer],
  addExternalInitializersFromFilesInMemory: [279, pointer, pointer, pointer, pointer, pointer, "size_t"],
};

/** The version that every declaration was tried with, and the version of its API. */
export const declaredVersion = "1.30.0";
const declaredApi = 30;

/** The functions, and what every call of them needs. */
export interface OrtApi extends OrtFunctions {
  /** Throws an `Error` with ONNX Runtime's message if a call failed. */
  check(status: Status): void;
  /** The handle that `create` writes. Throws as `check`. */
  created(create: (out: Memory) => Status): Address;
  /** The address of the first byte. */
  addressOf(memory: Memory): Address;
}

/**
 * Loads the library, and keeps it loaded until the process ends: threads of ONNX Runtime may outlive the thread that loaded it.
 *
 * @throws {DeviceError} where koffi has no binary for this platform, the library does not load, or has another version
 */
export async function loadOrtApi(path = libraryPath(), expected = declaredVersion): Promise<OrtApi> {
  const { default: koffi } = await import("koffi");
  // It can be set only before the thread's first library is loaded.
  if (koffi.config().sync_stack_size !== stackBytes) koffi.config({ sync_stack_size: stackBytes });
  const base: Address = loaded(koffi, path).func("OrtGetApiBase", pointer, [])();
  keepLoaded(koffi, path);
  const functionAt = functionReader(koffi);
  const version: string = functionAt(base, [1, "str"])();
  if (version !== expected)
    throw new DeviceError(`${path} is ONNX Runtime ${version}; expected ${expected}, whose C API we know`);
  const table: Address = functionAt(base, [0, pointer, "uint32_t"])(declaredApi);
  const names = Object.keys(declarations) as (keyof OrtFunctions)[];
  const entries = names.map((name) => [name, functionAt(table, declarations[name])]);
  // `declarations` has an entry for each function, whose parameters the interface repeats as types.
  const functions = Object.fromEntries(entries) as OrtFunctions;
  const out = new BigUint64Array(1);
  const check = (status: Status): void => {
    if (status === null) return;
    const message = functions.getErrorMessage(status);
    functions.releaseStatus(status);
    throw new Error(message);
  };
  return {
    ...functions,
    check,
    created: (create) => {
      check(create(out));
      return out[0] ?? 0n;
    },
    addressOf: (memory) => koffi.address(memory),
  };
}

/** The stack on which koffi calls native code: what system threads have, instead of its own two MiB. */
const stackBytes = 8 * 2 ** 20;

type KoffiFunction = ReturnType<LibraryHandle["func"]>;

function functionReader(koffi: typeof Koffi): (table: Address, declaration: Declaration) => KoffiFunction {
  return (table, [index, result, ...parameters]) => {
    const address: Address = koffi.decode(table, index * koffi.sizeof(pointer), pointer);
    return koffi.decode(address, koffi.proto(result, parameters));
  };
}

const libraryNames: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  linux: "libonnxruntime.so.1",
  darwin: "libonnxruntime.1.dylib",
  win32: "onnxruntime.dll",
};

function libraryPath(): string {
  const manifest = findPackageJSON("onnxruntime-node", import.meta.url);
  const name = libraryNames[process.platform];
  if (manifest === undefined || name === undefined)
    throw new DeviceError(`onnxruntime-node has no library for ${process.platform} ${process.arch}`);
  return join(dirname(manifest), "bin/napi-v6", process.platform, process.arch, name);
}

function loaded(koffi: typeof Koffi, path: string): LibraryHandle {
  try {
    return koffi.load(path);
  } catch (cause) {
    throw new DeviceError(`${path}: ${messageOf(cause)}`, { cause });
  }
}

/** Loads the library once more without ever releasing it: koffi unloads its own at the end of the thread. */
function keepLoaded(koffi: typeof Koffi, path: string): void {
  if (process.platform === "win32") koffi.load("kernel32.dll").func("LoadLibraryW", pointer, ["str16"])(path);
  else koffi.load(null).func("dlopen", pointer, ["str", "int"])(path, resolveNow);
}

/** RTLD_NOW on Linux and macOS. */
const resolveNow = 2;
