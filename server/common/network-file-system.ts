/** Detects file systems whose files several machines see: shared memory and locks cannot be relied on there. */

import { statfsSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Names by the type that Linux's statfs(2) reports: those that GNU coreutils (src/stat.c) marks as remote, with Linux's
 * include/uapi/linux/magic.h for 9p. FUSE may be local or sshfs, gcsfuse, GlusterFS: it does not say.
 */
const networkFileSystems: ReadonlyMap<bigint, string> = new Map([
  [0x6969n, "NFS"],
  [0x517bn, "SMB"],
  [0xff534d42n, "CIFS"],
  [0xfe534d42n, "SMB 2"],
  [0x0bd00bd0n, "Lustre"],
  [0x47504653n, "GPFS"],
  [0x19830326n, "BeeGFS"],
  [0x00c36400n, "Ceph"],
  [0x5346414fn, "AFS"],
  [0x6b414653n, "AFS"],
  [0xaad7aaean, "Panasas"],
  [0xbeefdeadn, "StorNext"],
  [0x7461636fn, "OCFS2"],
  [0x01161970n, "GFS2"],
  [0x013111a8n, "IBRIX"],
  [0x61636673n, "ACFS"],
  [0x73757245n, "Coda"],
  [0x0000564cn, "NetWare"],
  [0xbacbacbcn, "VMware's shared folders"],
  [0x786f4256n, "VirtualBox's shared folders"],
  [0x01021997n, "9p"],
  [0x65735546n, "FUSE"],
]);

/** The type of a path's file system; throws if the path does not exist. */
export type TypeOfFileSystem = (path: string) => bigint;

/**
 * Name of the network file system that holds a path, or will hold it once it exists; undefined for a local one, and
 * where the system does not tell (only Linux has such types).
 */
export function networkFileSystemOf(
  path: string,
  typeOf: TypeOfFileSystem = (at) => statfsSync(at, { bigint: true }).type,
): string | undefined {
  if (process.platform !== "linux") return undefined;
  for (let at = path; ; at = dirname(at)) {
    try {
      // On some systems the type is a signed word of 32 bits.
      return networkFileSystems.get(BigInt.asUintN(32, typeOf(at)));
    } catch {
      if (dirname(at) === at) return undefined;
    }
  }
}
