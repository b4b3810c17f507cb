/** A thread that computes parts of a probe's evaluation. */
import { parentPort, workerData } from "node:worker_threads";
import type { PartReply, PartRequest, PartWork } from "./part-threads.ts";
import { computePart, partContext } from "./parts.ts";

// `openPartThreads` starts this thread with this work.
const { data, settings }: PartWork = workerData;
const context = partContext(data, settings);

parentPort?.on("message", ({ id, key }: PartRequest) => {
  computePart(key, context).then(
    (result) => parentPort?.postMessage({ id, result } satisfies PartReply),
    () => parentPort?.postMessage({ id, result: undefined } satisfies PartReply),
  );
});
