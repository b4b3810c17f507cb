/** `lfp doctor --on slurm`: whether runs can be submitted here, and what is missing. */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { messageOf } from "../common/errors.ts";
import { executorsFile, readSettings, type SettingsOf } from "../runs/executor-settings.ts";
import { ask, hasNoAccounts, SlurmCommandError } from "../runs/slurm/commands.ts";
import { testArguments } from "../runs/slurm/executor.ts";
import type { CommandResult } from "./command.ts";

interface Check {
  readonly what: string;
  readonly ok: boolean;
  /** What was found, or what is wrong and what to do. */
  readonly found: string;
}

/** Looks at settings, commands, controller, partitions and accounts, and has Slurm check a job without submitting it. */
export async function doctorSlurm(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const path = executorsFile(env);
  const checks: Check[] = [];
  const settings = await settingsOf(env, path, checks);
  for (const program of ["sbatch", "squeue", "scancel", "scontrol"])
    checks.push(await check(program, async () => (await ask(program, ["--version"])).trim()));
  const hasCommands = checks.every(({ ok, what }) => ok || what === "settings");
  if (hasCommands) {
    checks.push(await check("controller", async () => (await ask("scontrol", ["ping"])).trim().replaceAll("\n", "; ")));
    checks.push(await check("partitions", partitions));
    checks.push(await accounts());
    if (settings !== undefined) checks.push(await check("a job", async () => jobCheck(settings)));
  }
  if (settings?.sharedFolder !== undefined) checks.push(await sharedFolder(settings.sharedFolder));
  const ok = checks.every((one) => one.ok);
  const lines = checks.map(({ what, found, ok: isFine }) => `${what.padEnd(14)}${isFine ? "" : "PROBLEM: "}${found}`);
  const text = [...lines, "", ok ? "Nothing is missing." : "docs/cluster.md says more."].join("\n");
  return {
    json: { name: "doctor", on: "slurm", ok, settingsFile: path, checks },
    text,
    status: ok ? "ok" : "resource",
  };
}

async function settingsOf(
  env: NodeJS.ProcessEnv,
  path: string,
  checks: Check[],
): Promise<SettingsOf<"slurm"> | undefined> {
  try {
    const settings = await readSettings("slurm", env);
    const isThere = await stat(path).then(
      () => true,
      () => false,
    );
    const found = isThere ? path : `${path} is not there, so that the cluster's defaults apply`;
    checks.push({ what: "settings", ok: true, found });
    return settings;
  } catch (error) {
    checks.push({ what: "settings", ok: false, found: messageOf(error) });
    return undefined;
  }
}

async function check(what: string, look: () => Promise<string>): Promise<Check> {
  try {
    return { what, ok: true, found: await look() };
  } catch (error) {
    if (!(error instanceof SlurmCommandError)) throw error;
    return { what, ok: false, found: error.message };
  }
}

async function partitions(): Promise<string> {
  const lines = (await ask("sinfo", ["--noheader", "--format=%P|%a|%l|%D|%G"]))
    .split("\n")
    .filter((line) => line !== "");
  const one = (line: string): string => {
    const [name = "", isUp = "", time = "", nodes = "", gres = ""] = line.split("|");
    return `${name} (${isUp}, ${nodes} nodes, at most ${time}${gres === "" || gres === "(null)" ? "" : `, ${gres}`})`;
  };
  return lines.map(one).join(", ");
}

/** Accounts are a help, no need. */
async function accounts(): Promise<Check> {
  const found = await check("accounts", async () => {
    await ask("sacct", ["-X", "-n", "-P", "--format=JobID"]);
    return "kept";
  });
  if (found.ok) return found;
  const why = hasNoAccounts(found.found) ? "not kept" : found.found;
  return {
    what: "accounts",
    ok: true,
    found: `${why}: a job is then known to Slurm for minutes after its end; runs need no more`,
  };
}

/** `sbatch --test-only` reports when the job would start, or why it never would. */
async function jobCheck(settings: SettingsOf<"slurm">): Promise<string> {
  await ask("sbatch", testArguments(settings));
  return "would be accepted with these settings";
}

async function sharedFolder(folder: string): Promise<Check> {
  try {
    await access(folder, constants.W_OK);
    return {
      what: "shared folder",
      ok: true,
      found: `${folder} can be written here; whether the nodes see it only a job shows`,
    };
  } catch (error) {
    return { what: "shared folder", ok: false, found: `${messageOf(error)}: correct \`sharedFolder\`` };
  }
}
