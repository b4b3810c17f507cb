/**
 * Orthonormalises the rows of [R, D], R at most D, in place by Gram-Schmidt: subtracts from each row its projections
 * on the ones before it, twice, since once leaves rounding errors of the size of what was subtracted (Giraud et al.
 * 2005, "twice is enough").
 */
export function orthonormaliseRows(rowsRD: Float64Array, D: number): void {
  for (let row = 0; row < rowsRD.length; row += D) {
    for (let pass = 0; pass < 2; pass++) {
      for (let other = 0; other < row; other += D) {
        let along = 0;
        for (let d = 0; d < D; d++) along += rowsRD[row + d]! * rowsRD[other + d]!;
        for (let d = 0; d < D; d++) rowsRD[row + d]! -= along * rowsRD[other + d]!;
      }
    }
    let squares = 0;
    for (let d = 0; d < D; d++) squares += rowsRD[row + d]! ** 2;
    const scale = 1 / Math.sqrt(squares);
    for (let d = 0; d < D; d++) rowsRD[row + d]! *= scale;
  }
}
