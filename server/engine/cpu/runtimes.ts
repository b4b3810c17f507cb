/** The table of ways to reach ONNX Runtime, and the choice among them. */
import { messageOf } from "../../common/errors.ts";
import { type Runtime, type RuntimeChoice, type RuntimeKind, runtimeVariable } from "./runtime.ts";
import { openCApiRuntime } from "./runtime-c-api.ts";
import { openNodeRuntime } from "./runtime-node.ts";

export interface OpenedRuntime {
  readonly runtime: Runtime;
  readonly choice: RuntimeChoice;
}

/** How each kind is opened. */
export const openers: { readonly [K in RuntimeKind]: () => Promise<Runtime> } = {
  "c-api": openCApiRuntime,
  "onnxruntime-node": openNodeRuntime,
};

/** Opens the wished kind, or without a wish the C API if this machine lets it be reached, and else the package. */
export async function openRuntime(wish?: RuntimeKind, open = openers): Promise<OpenedRuntime> {
  if (wish !== undefined) {
    const reason = wish === "c-api" ? {} : { reason: `${runtimeVariable} asks for it` };
    return { runtime: await open[wish](), choice: { kind: wish, ...reason } };
  }
  try {
    return { runtime: await open["c-api"](), choice: { kind: "c-api" } };
  } catch (error) {
    return {
      runtime: await open["onnxruntime-node"](),
      choice: { kind: "onnxruntime-node", reason: messageOf(error) },
    };
  }
}
