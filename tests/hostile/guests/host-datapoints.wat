;; Emits four texts of 200 kB, which are six times as long in JSON.
;; control: host_memory
;; with: host_memory=1MiB
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 8)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 3072) "\00\10\00\00\01\00\00\00") (data (i32.const 3080) "\05\00\00\00\00\00\00\00\00\00\01\00\40\0d\03\00")
  (func (export "collect") (result i32) (local $turn i32)
    (memory.fill (i32.const 65536) (i32.const 1) (i32.const 200000))
    (loop $again
      (i32.store8 (i32.const 4096) (i32.add (i32.const 97) (local.get $turn)))
      (call $emit (i32.const 4096) (i32.const 1) (i32.const 3072) (i32.const 1) (i32.const 1024))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 4))))
    i32.const 61440))
