/**
 * CPU time that this thread has used, in ms. Tests bound the growth of work by it: unlike the clock it does not go on while the machine is busy with
 * something else.
 */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
