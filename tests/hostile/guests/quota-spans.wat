;; Reads fifty times.
;; control: spans
;; with: spans=10
(module
  (import "pattoo:agent/modbus@0.1.0" "read-coils" (func $read-coils (param i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "plc9")
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (call $read-coils (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1024))
      (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1028)) (i32.const 6))) (then
        (i32.store (i32.const 2048) (i32.const 1))
        (i64.store (i32.const 2052) (i64.load (i32.const 1032)))
        (return (i32.const 2048))))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 50))))
    i32.const 61440))
