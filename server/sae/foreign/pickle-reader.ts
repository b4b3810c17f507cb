/** The stack machine of pickle.ts: one row for each instruction that PyTorch writes. */
import { SaeFormatError } from "../errors.ts";
import type { PickleValue } from "./pickle-values.ts";

/** What a pickle asks for beyond plain values. */
export interface PickleHooks {
  global(name: string): PickleValue;
  call(target: PickleValue, args: readonly PickleValue[]): PickleValue;
  persistent(id: PickleValue): PickleValue;
}

/** More than a state_dict of any real dictionary takes. */
const mostInstructions = 1_000_000;

export class PickleReader {
  readonly #bytes: Buffer;
  readonly #path: string;
  readonly #hooks: PickleHooks;
  #at = 0;
  #stack: PickleValue[] = [];
  readonly #marks: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();

  constructor(bytes: Buffer, path: string, hooks: PickleHooks) {
    this.#bytes = bytes;
    this.#path = path;
    this.#hooks = hooks;
  }

  read(): PickleValue {
    for (let count = 0; count < mostInstructions; count++) {
      const code = String.fromCharCode(this.#uint(1));
      if (code === ".") return this.#pop();
      const run = Object.hasOwn(PickleReader.#rows, code) ? PickleReader.#rows[code] : undefined;
      if (run === undefined) throw this.#unsound(`instruction 0x${code.charCodeAt(0).toString(16)}`);
      run(this);
    }
    throw this.#unsound(`more than ${mostInstructions} instructions`);
  }

  static readonly #rows: Readonly<Record<string, (own: PickleReader) => void>> = {
    "\x80": (own) => void own.#uint(1),
    "\x95": (own) => void own.#take(8),
    "(": (own) => {
      own.#marks.push(own.#stack);
      own.#stack = [];
    },
    N: (own) => own.#push(null),
    "\x88": (own) => own.#push(true),
    "\x89": (own) => own.#push(false),
    K: (own) => own.#push(own.#uint(1)),
    M: (own) => own.#push(own.#uint(2)),
    J: (own) => own.#push(own.#take(4).readInt32LE()),
    G: (own) => own.#push(own.#take(8).readDoubleBE()),
    "\x8a": (own) => {
      const bytes = own.#take(own.#uint(1));
      own.#push(bytes.length === 0 ? 0 : bytes.length <= 6 ? bytes.readIntLE(0, bytes.length) : own.#long(bytes));
    },
    X: (own) => own.#push(own.#take(own.#uint(4)).toString("utf8")),
    "\x8c": (own) => own.#push(own.#take(own.#uint(1)).toString("utf8")),
    "}": (own) => own.#push(new Map()),
    "]": (own) => own.#push([]),
    ")": (own) => own.#push([]),
    "\x85": (own) => own.#push(own.#popMany(1)),
    "\x86": (own) => own.#push(own.#popMany(2)),
    "\x87": (own) => own.#push(own.#popMany(3)),
    t: (own) => own.#push(own.#popMark()),
    c: (own) => own.#push(own.#hooks.global(`${own.#line()}.${own.#line()}`)),
    "\x93": (own) => {
      const [module, name] = own.#popMany(2);
      own.#push(own.#hooks.global(`${String(module)}.${String(name)}`));
    },
    q: (own) => own.#keep(own.#uint(1)),
    r: (own) => own.#keep(own.#uint(4)),
    "\x94": (own) => own.#keep(own.#memo.size),
    h: (own) => own.#push(own.#kept(own.#uint(1))),
    j: (own) => own.#push(own.#kept(own.#uint(4))),
    Q: (own) => own.#push(own.#hooks.persistent(own.#pop())),
    R: (own) => {
      const [target = null, args] = own.#popMany(2);
      if (!Array.isArray(args)) throw own.#unsound("a call without arguments");
      own.#push(own.#hooks.call(target, args));
    },
    a: (own) => own.#append(own.#popMany(1)),
    e: (own) => own.#append(own.#popMark()),
    s: (own) => own.#setItems(own.#popMany(2)),
    u: (own) => own.#setItems(own.#popMark()),
    // Attributes of the value below, such as a state_dict's versions of modules: no tensor is among them.
    b: (own) => void own.#pop(),
  };

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  #pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw this.#unsound("a value taken from an empty stack");
    return value;
  }

  #popMany(count: number): PickleValue[] {
    if (this.#stack.length < count) throw this.#unsound("a value taken from an empty stack");
    return this.#stack.splice(this.#stack.length - count, count);
  }

  #popMark(): PickleValue[] {
    const below = this.#marks.pop();
    if (below === undefined) throw this.#unsound("the end of a group that did not begin");
    const group = this.#stack;
    this.#stack = below;
    return group;
  }

  #top(): PickleValue {
    const value = this.#pop();
    this.#push(value);
    return value;
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#unsound("values appended to no list");
    for (const value of values) list.push(value);
  }

  #setItems(pairs: readonly PickleValue[]): void {
    const map = this.#top();
    if (!(map instanceof Map) || pairs.length % 2 !== 0) throw this.#unsound("items of no dictionary");
    for (let at = 0; at < pairs.length; at += 2) map.set(pairs[at] ?? null, pairs[at + 1] ?? null);
  }

  #keep(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #kept(index: number): PickleValue {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#unsound("a reference to nothing");
    return value;
  }

  #take(count: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    if (taken.length !== count) throw this.#unsound("an end in the middle of a value");
    this.#at += count;
    return taken;
  }

  #uint(bytes: 1 | 2 | 4): number {
    return this.#take(bytes).readUIntLE(0, bytes);
  }

  #long(bytes: Buffer): number {
    const value = Number(BigInt.asIntN(64, BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`)));
    if (bytes.length > 8 || !Number.isSafeInteger(value)) throw this.#unsound("a number that is too large");
    return value;
  }

  #line(): string {
    const end = this.#bytes.indexOf("\n", this.#at);
    if (end < 0 || end - this.#at > 200) throw this.#unsound("a name without an end");
    const text = this.#take(end - this.#at).toString("utf8");
    this.#at += 1;
    return text;
  }

  #unsound(detail: string): SaeFormatError {
    return new SaeFormatError(`${this.#path} is no pickle of tensors as PyTorch writes it: it has ${detail}`);
  }
}
