/** `lfp doctor --on slurm`: whether runs can be submitted here, and what is missing. */
import type { SettingsOf } from "../runs/executor-settings.ts";
import { ask, hasNoAccounts, SlurmCommandError } from "../runs/slurm/commands.ts";
import { testArguments } from "../runs/slurm/options.ts";
import { type Check, checkBy, checkedSettings, checkSharedFolder, checksResult } from "./cluster-checks.ts";
import type { CommandResult } from "./command.ts";

/** Looks at settings, commands, controller, partitions and accounts, and has Slurm check a job without submitting it. */
export async function doctorSlurm(env: NodeJS.ProcessEnv): Promise<CommandResult> {
  const checks: Check[] = [];
  const settings = await checkedSettings("slurm", env, checks);
  for (const program of ["sbatch", "squeue", "scancel", "scontrol"])
    checks.push(await check(program, async () => (await ask(program, ["--version"])).trim()));
  const hasCommands = checks.every(({ ok, what }) => ok || what === "settings");
  if (hasCommands) {
    checks.push(await check("controller", async () => (await ask("scontrol", ["ping"])).trim().replaceAll("\n", "; ")));
    checks.push(await check("partitions", partitions));
    checks.push(await accounts());
    if (settings !== undefined) checks.push(await check("a job", async () => jobCheck(settings)));
  }
  if (settings?.sharedFolder !== undefined) checks.push(await checkSharedFolder(settings.sharedFolder));
  return checksResult("slurm", env, checks);
}

function check(what: string, look: () => Promise<string>): Promise<Check> {
  return checkBy(what, SlurmCommandError, look);
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
