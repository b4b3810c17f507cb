#!/usr/bin/env node
/**
 * The `lfp` command. It looks at the version of Node before anything else is loaded, because an older one would stop at the first
 * module that it does not know, with a message that helps nobody.
 */
import { exitCodes } from "./cli/exit-codes.ts";
import { olderNodeProblem } from "./cli/node-version.ts";

const problem = olderNodeProblem(process.versions.node);
if (problem === undefined) {
  const { runProcess } = await import("./cli/process.ts");
  await runProcess();
} else {
  process.stderr.write(`lfp: ${problem}\n`);
  process.exitCode = exitCodes.resource.code;
}
