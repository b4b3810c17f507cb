/** What a pickle of tensors holds. */
export type PickleValue =
  | null
  | boolean
  | number
  | string
  | PickleValue[]
  | Map<PickleValue, PickleValue>
  | Global
  | StorageReference
  | TensorReference;

/** A name of Python code that may stand in the file. */
export interface Global {
  readonly kind: "global";
  readonly name: string;
}

/** A tensor's numbers: a file of the archive, of `type`. */
export interface StorageReference {
  readonly kind: "storage";
  readonly type: string;
  readonly key: string;
}

export interface TensorReference {
  readonly kind: "tensor";
  readonly storage: StorageReference;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}
