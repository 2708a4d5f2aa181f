;; Reads 1 000 spans of a device whose name has 16 000 bytes, and which is not granted.
(import "pattoo:agent/modbus@0.1.0" "read-many" (func $read-many (param i32 i32 i32)))
(memory (export "memory") 4)
(func $attack (local $turn i32) (local $span i32)
  (memory.fill (i32.const 1024) (i32.const 120) (i32.const 16000))
  (loop $next
    (local.set $span (i32.add (i32.const 32768) (i32.mul (local.get $turn) (i32.const 16))))
    (i32.store (local.get $span) (i32.const 1024))
    (i32.store offset=4 (local.get $span) (i32.const 16000))
    (i32.store8 offset=10 (local.get $span) (i32.const 2))
    (i32.store16 offset=14 (local.get $span) (i32.const 1))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 1000))))
  (call $read-many (i32.const 32768) (i32.const 1000) (i32.const 512)))
