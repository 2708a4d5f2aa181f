;; Emits for two hundred targets.
;; control: targets
;; with: targets=10
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (i32.store8 (i32.const 4096) (i32.add (i32.const 97) (i32.rem_u (local.get $turn) (i32.const 23))))
      (i32.store8 (i32.const 4097) (i32.add (i32.const 97) (i32.div_u (local.get $turn) (i32.const 23))))
      (call $emit (i32.const 4096) (i32.const 2) (i32.const 3072) (i32.const 0) (i32.const 1024))
      (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1028)) (i32.const 1))) (then
        (i32.store (i32.const 2048) (i32.const 1))
        (i64.store (i32.const 2052) (i64.load (i32.const 1032)))
        (return (i32.const 2048))))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 200))))
    i32.const 61440))
