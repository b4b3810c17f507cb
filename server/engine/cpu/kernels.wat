;; Loops that the CPU device runs over its own memory, four f32 lanes at a time. Byte counts are multiples of 16; the
;; allocator pads with zeros, which every loop here leaves zero.
(module
  (import "engine" "memory" (memory 1 65536))

  ;; p = p * keep - stepSize * m / (sqrt(v) * rootCorrection + eps), after m and v took in the gradient times clip.
  (func (export "adamw")
    (param $p i32) (param $g i32) (param $m i32) (param $v i32) (param $bytes i32)
    (param $beta1 f32) (param $oneMinusBeta1 f32) (param $beta2 f32) (param $oneMinusBeta2 f32)
    (param $stepSize f32) (param $rootCorrection f32) (param $eps f32) (param $keep f32) (param $clip f32)
    (local $end i32) (local $gv v128) (local $mv v128) (local $vv v128)
    (local $b1 v128) (local $o1 v128) (local $b2 v128) (local $o2 v128)
    (local $step v128) (local $root v128) (local $epsV v128) (local $keepV v128) (local $clipV v128)
    (local.set $b1 (f32x4.splat (local.get $beta1)))
    (local.set $o1 (f32x4.splat (local.get $oneMinusBeta1)))
    (local.set $b2 (f32x4.splat (local.get $beta2)))
    (local.set $o2 (f32x4.splat (local.get $oneMinusBeta2)))
    (local.set $step (f32x4.splat (local.get $stepSize)))
    (local.set $root (f32x4.splat (local.get $rootCorrection)))
    (local.set $epsV (f32x4.splat (local.get $eps)))
    (local.set $keepV (f32x4.splat (local.get $keep)))
    (local.set $clipV (f32x4.splat (local.get $clip)))
    (local.set $end (i32.add (local.get $p) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $p) (local.get $end)))
        (local.set $gv (f32x4.mul (v128.load (local.get $g)) (local.get $clipV)))
        (local.set $mv (f32x4.add
          (f32x4.mul (v128.load (local.get $m)) (local.get $b1))
          (f32x4.mul (local.get $gv) (local.get $o1))))
        (local.set $vv (f32x4.add
          (f32x4.mul (v128.load (local.get $v)) (local.get $b2))
          (f32x4.mul (f32x4.mul (local.get $gv) (local.get $gv)) (local.get $o2))))
        (v128.store (local.get $m) (local.get $mv))
        (v128.store (local.get $v) (local.get $vv))
        (v128.store (local.get $p) (f32x4.sub
          (f32x4.mul (v128.load (local.get $p)) (local.get $keepV))
          (f32x4.div
            (f32x4.mul (local.get $mv) (local.get $step))
            (f32x4.add (f32x4.mul (f32x4.sqrt (local.get $vv)) (local.get $root)) (local.get $epsV)))))
        (local.set $p (i32.add (local.get $p) (i32.const 16)))
        (local.set $g (i32.add (local.get $g) (i32.const 16)))
        (local.set $m (i32.add (local.get $m) (i32.const 16)))
        (local.set $v (i32.add (local.get $v) (i32.const 16)))
        (br $next))))

  ;; Sum of squares, accumulated in f64.
  (func (export "sumOfSquares") (param $x i32) (param $bytes i32) (result f64)
    (local $end i32) (local $value v128) (local $high v128) (local $low v128) (local $sumA v128) (local $sumB v128)
    (local.set $end (i32.add (local.get $x) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $x) (local.get $end)))
        (local.set $value (v128.load (local.get $x)))
        (local.set $low (f64x2.promote_low_f32x4 (local.get $value)))
        (local.set $high (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 0 1 2 3 4 5 6 7 (local.get $value) (local.get $value))))
        (local.set $sumA (f64x2.add (local.get $sumA) (f64x2.mul (local.get $low) (local.get $low))))
        (local.set $sumB (f64x2.add (local.get $sumB) (f64x2.mul (local.get $high) (local.get $high))))
        (local.set $x (i32.add (local.get $x) (i32.const 16)))
        (br $next)))
    (local.set $sumA (f64x2.add (local.get $sumA) (local.get $sumB)))
    (f64.add (f64x2.extract_lane 0 (local.get $sumA)) (f64x2.extract_lane 1 (local.get $sumA))))

  ;; to += from
  (func (export "addInto") (param $to i32) (param $from i32) (param $bytes i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $bytes)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $to) (local.get $end)))
        (v128.store (local.get $to) (f32x4.add (v128.load (local.get $to)) (v128.load (local.get $from))))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br $next))))
)
