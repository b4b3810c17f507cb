import { runPipeline } from "../../../server/runs/run.ts";
import { planStage } from "../../../server/runs/stage.ts";

/** `node stubborn-run.ts FOLDER`: a run that hears no signal and whose stage never comes to a step boundary. */
process.on("SIGTERM", () => undefined);
const stage = {
  name: "stubborn",
  codeVersion: 1,
  run: () => new Promise<void>((resolve) => setTimeout(resolve, 600_000)),
};
await runPipeline([planStage({ id: "stubborn", stage, settings: {}, inputs: {} })], process.argv[2] ?? "", {
  seed: 1,
  deviceClass: "cpu",
  queued: false,
});
