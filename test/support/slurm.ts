/** A Slurm of one node for tests, with a configuration, ports and folders of its own, beside any that the machine has. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { messageOf } from "../../server/common/errors.ts";
import { trueWithin } from "../../server/runs/stop-process.ts";

const run = promisify(execFile);

export interface TestSlurm {
  /** Runs one of its commands; returns what it prints. */
  readonly ask: (program: string, ...args: string[]) => Promise<string>;
  /** Ends the controller, which saves its state: killed, it may forget the jobs of its last seconds. */
  readonly stopController: () => Promise<void>;
  readonly startController: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** Starts it and sets `SLURM_CONF` in this process's environment, by which everything that the tests start finds it. */
export async function startSlurm(): Promise<TestSlurm> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-slurm-"));
  const node = hostname().split(".")[0] ?? "localhost";
  await writeFile(join(folder, "slurm.conf"), configuration(folder, node, await freePort(), await freePort()));
  await writeFile(
    join(folder, "cgroup.conf"),
    existsSync("/sys/fs/cgroup/freezer") ? "CgroupPlugin=cgroup/v1\n" : "IgnoreSystemd=yes\n",
  );
  for (const name of ["ctld", "d"]) await mkdir(join(folder, name));
  await startMunge();
  process.env["SLURM_CONF"] = join(folder, "slurm.conf");
  const start = (program: string, ...args: string[]) => startDaemon(folder, program, args);
  let controller = await start("slurmctld");
  const daemon = await start("slurmd", "-N", node);
  const ask = async (program: string, ...args: string[]) => (await run(program, args)).stdout;
  const isUp = async () => (await ask("sinfo", "--noheader", "--format=%T").catch(() => "")).trim() === "idle";
  const stopDaemons = async () => {
    await end(controller, "SIGTERM");
    await end(daemon, "SIGTERM");
    delete process.env["SLURM_CONF"];
  };
  if (!(await trueWithin(60_000, isUp))) {
    await stopDaemons();
    throw new Error(`Slurm did not start: see the logs in ${folder}`);
  }
  return {
    ask,
    stopController: () => end(controller, "SIGTERM"),
    startController: async () => {
      controller = await start("slurmctld");
    },
    stop: async () => {
      await stopDaemons();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether this machine can start one: it is installed (slurm-wlm, munge), we are root, and its daemons run here. */
export const canStartSlurm = isInstalled() && (await doesStart());

function isInstalled(): boolean {
  const programs = ["/usr/sbin/slurmctld", "/usr/sbin/slurmd", "/usr/sbin/munged"];
  return process.platform === "linux" && process.getuid?.() === 0 && programs.every((path) => existsSync(path));
}

/** Some containers run no daemon of Slurm (control groups, host names): that is told, and the tests are skipped there. */
async function doesStart(): Promise<boolean> {
  try {
    await (await startSlurm()).stop();
    return true;
  } catch (error) {
    console.warn(`tests on Slurm are skipped: ${messageOf(error)}`);
    return false;
  }
}

function configuration(folder: string, node: string, controllerPort: number, daemonPort: number): string {
  return `ClusterName=lfptest
SlurmctldHost=${node}(127.0.0.1)
SlurmctldPort=${controllerPort}
SlurmdPort=${daemonPort}
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=${folder}/ctld
SlurmdSpoolDir=${folder}/d
SlurmctldPidFile=${folder}/ctld.pid
SlurmdPidFile=${folder}/d.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=5
MinJobAge=10
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
NodeName=${node} NodeAddr=127.0.0.1 CPUs=16 CoresPerSocket=16 State=UNKNOWN
SlurmdParameters=config_overrides
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
`;
}

async function startDaemon(folder: string, program: string, args: readonly string[]): Promise<ChildProcess> {
  const log = await open(join(folder, `${program}.log`), "a");
  const child = spawn(`/usr/sbin/${program}`, ["-D", ...args], { stdio: ["ignore", log.fd, log.fd] });
  await once(child, "spawn");
  await log.close();
  return child;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, "exit");
}

/** Munge signs Slurm's messages; one serves the whole machine. */
async function startMunge(): Promise<void> {
  if (
    await run("munge", ["-n"]).then(
      () => true,
      () => false,
    )
  )
    return;
  await mkdir("/run/munge", { recursive: true });
  await run("chown", ["munge:", "/run/munge"]);
  await run("runuser", ["-u", "munge", "--", "/usr/sbin/munged"]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new TypeError("a server has a port");
  return address.port;
}
