/** The thread that runs the CPU device's programs. */
import { parentPort, workerData } from "node:worker_threads";
import { CpuExecutor } from "./executor.ts";
import { type CallKind, type Calls, closeRequest, type Reply, type Request, toFailure } from "./messages.ts";
import { OnnxModels } from "./onnx-models.ts";
import type { WorkerOptions } from "./runtime.ts";
import { openRuntime } from "./runtimes.ts";

// `createCpuDevice` starts this thread with these options.
const { threads, runtime: wish }: WorkerOptions = workerData;
const { runtime, choice } = await openRuntime(wish);
const executor = new CpuExecutor({ runtime, threads });
const models = new OnnxModels({ runtime, threads });

const handlers: {
  readonly [K in CallKind]: (ask: Calls[K]["ask"]) => Calls[K]["answer"] | Promise<Calls[K]["answer"]>;
} = {
  admitState: ({ bytes }) => {
    executor.admitState(bytes);
    return undefined;
  },
  admitFixed: ({ bytes, stored }) => {
    executor.admitFixed(bytes, stored);
    return undefined;
  },
  createState: ({ entries }) => executor.createState(entries),
  createFixed: ({ entries, shared }) => executor.createFixed(entries, shared),
  readState: ({ store, name }) => executor.readState(store, name),
  writeState: ({ store, name, values }) => {
    executor.writeState(store, name, values);
    return undefined;
  },
  disposeState: ({ store }) => {
    executor.disposeState(store);
    return undefined;
  },
  compile: ({ plan, stores }) => executor.compile(plan, stores),
  run: ({ program, inputs }) => executor.run(program, inputs),
  disposeProgram: async ({ program }) => {
    await executor.disposeProgram(program);
    return undefined;
  },
  openModel: (file) => models.open(file),
  runModel: (run) => models.run(run.model, run),
  disposeModel: async ({ model }) => {
    await models.dispose(model);
    return undefined;
  },
  runtimeChoice: () => choice,
};

let last: Promise<void> = Promise.resolve();
let closing = false;

// One request at a time, in order: each program sees the state that earlier ones left.
parentPort?.on("message", (request: Request | typeof closeRequest) => {
  if (request === closeRequest) {
    closing = true;
    last = last
      .then(() => Promise.all([executor.close(), models.close()]))
      .then(
        () => process.exit(),
        () => process.exit(),
      );
  } else last = last.then(() => (closing ? undefined : answer(request)));
});

async function answer(request: Request): Promise<void> {
  try {
    const result = await handle(request);
    parentPort?.postMessage({ id: request.id, answer: result } satisfies Reply, buffersOf(result));
  } catch (error) {
    parentPort?.postMessage({ id: request.id, failure: toFailure(error) } satisfies Reply);
  }
}

function handle<K extends CallKind>(request: {
  kind: K;
  ask: Calls[K]["ask"];
}): Calls[K]["answer"] | Promise<Calls[K]["answer"]> {
  return handlers[request.kind](request.ask);
}

/** Buffers to transfer: results are copies made for the caller. */
function buffersOf(result: unknown): ArrayBuffer[] {
  const values = ArrayBuffer.isView(result)
    ? [result]
    : typeof result === "object" && result !== null
      ? Object.values(result)
      : [];
  return values.flatMap((value: unknown) =>
    ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer ? [value.buffer] : [],
  );
}
