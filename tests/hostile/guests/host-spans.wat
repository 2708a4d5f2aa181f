;; Reads forty spans of devices whose names have 40 kB, at the same time.
;; control: host_memory
;; with: host_memory=1MiB
(module
  (import "pattoo:agent/modbus@0.1.0" "read-many" (func $read-many (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32) (local $turn i32) (local $p i32)
    (loop $again
      (local.set $p (i32.add (i32.const 4096) (i32.shl (local.get $turn) (i32.const 4))))
      (i32.store (local.get $p) (i32.const 65536)) (i32.store offset=4 (local.get $p) (i32.const 40000))
      (i32.store8 offset=14 (local.get $p) (i32.const 1))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 40))))
    (call $read-many (i32.const 4096) (i32.const 40) (i32.const 1024))
    i32.const 61440))
