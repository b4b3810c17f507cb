import type { FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { disk, type FileSystem } from "../../../server/runs/files.ts";

/**
 * What happens at a call: it passes, it does not take place, or (writes only) half of it takes place. In the last two cases the
 * call then throws what `fail` throws, or never returns when `fail` kills the process.
 */
export interface Faults {
  /** Decides about the n-th call, counted from 1. */
  at(n: number, call: string): "pass" | "nothing" | "half";
  fail(call: string): never;
}

/** The real file system with faults; counts every call that changes the disk. */
export class FaultyFiles {
  readonly #faults: Faults;
  readonly files: FileSystem;
  /** The calls so far; renames with the new name. */
  readonly calls: string[] = [];

  constructor(faults: Faults) {
    this.#faults = faults;
    const plain = [
      "rename",
      "unlink",
      "mkdir",
      "rm",
      "link",
      "copyFile",
      "openSync",
      "ftruncateSync",
      "fsyncSync",
    ] as const;
    const guarded = Object.fromEntries(plain.map((name) => [name, this.#guard(name, disk[name])]));
    this.files = new Proxy(disk, {
      get: (target, name) => {
        if (typeof name === "string" && Object.hasOwn(guarded, name)) return guarded[name];
        if (name === "open") return this.#open;
        if (name === "writeSync") return this.#writeSync;
        return Reflect.get(target, name);
      },
    });
  }

  #guard(name: string, call: unknown): unknown {
    return (...args: unknown[]) => {
      if (typeof call !== "function") throw new TypeError(`${name} is not a function`);
      const refuse = () => {
        const place = name === "rename" ? ` ${basename(String(args[1]))}` : "";
        if (this.#decide(name + place) !== "pass") this.#faults.fail(name);
      };
      if (name.endsWith("Sync")) {
        refuse();
        return Reflect.apply(call, disk, args);
      }
      return Promise.resolve().then(() => {
        refuse();
        return Reflect.apply(call, disk, args);
      });
    };
  }

  readonly #open: FileSystem["open"] = async (path, flags, mode) => {
    if (this.#decide(`open ${flags ?? "r"}`) !== "pass") this.#faults.fail("open");
    return this.#wrap(await disk.open(path, flags, mode));
  };

  readonly #writeSync = (descriptor: number, bytes: Uint8Array, offset: number, length: number): number => {
    const decision = this.#decide("writeSync");
    if (decision === "pass") return disk.writeSync(descriptor, bytes, offset, length);
    if (decision === "half") disk.writeSync(descriptor, bytes, offset, length >> 1);
    this.#faults.fail("writeSync");
  };

  #wrap(handle: FileHandle): FileHandle {
    return new Proxy(handle, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          const call = `handle.${String(name)}`;
          const decision = this.#decide(call);
          if (decision === "pass") return Reflect.apply(member, target, args);
          if (decision === "half" && name === "write") {
            const [chunk, offset = 0, length = 0] = args;
            await Reflect.apply(member, target, [chunk, offset, Math.floor(Number(length) / 2)]);
          }
          // Whatever a close reports, the handle is closed.
          if (name === "close") await target.close();
          this.#faults.fail(call);
        };
      },
    });
  }

  #decide(call: string): "pass" | "nothing" | "half" {
    this.calls.push(call);
    return this.#faults.at(this.calls.length, call);
  }
}

/** The error that the operating system gives. */
export function systemError(code: "ENOSPC" | "EIO", call: string): Error {
  return Object.assign(new Error(`${code}: injected, ${call}`), { code, errno: -1, syscall: call });
}
