/**
 * Weights in the safetensors format: `openCheckpointTensors` for a model's folder, `openSafetensors` for one file,
 * `writeSafetensors` to save. Other folders import `safetensors/` through this file.
 */

export { bf16ToF32, f16ToF32 } from "../common/floats.loops.ts";
export {
  CheckpointIndexError,
  INDEX_FILE,
  isPickle,
  NoWeightsError,
  openCheckpointTensors,
  PickleRefusedError,
  parseShardIndex,
  WEIGHTS_FILE,
} from "./safetensors/checkpoint.ts";
export type { Dtype } from "./safetensors/dtypes.ts";
export {
  ModelFileError,
  NonFiniteTensorError,
  SafetensorsError,
  type SafetensorsRule,
  TensorDtypeError,
  TensorNotFoundError,
} from "./safetensors/errors.ts";
export type { TensorInfo } from "./safetensors/header.ts";
export { openSafetensors, type SafetensorsFile, type StoredValues, type TensorSource } from "./safetensors/read.ts";
export {
  TensorNotWritableError,
  TensorOverflowError,
  type TensorToWrite,
  writeSafetensors,
} from "./safetensors/write.ts";
