;; Keeps twenty values of 60 kB.
;; control: host_memory
;; with: host_memory=1MiB state_bytes=64MiB
(module
  (import "pattoo:agent/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (i32.store8 (i32.const 0) (i32.add (i32.const 97) (local.get $turn)))
      (call $set (i32.const 0) (i32.const 1) (i32.const 65536) (i32.const 60000) (i32.const 1024))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 20))))
    i32.const 61440))
