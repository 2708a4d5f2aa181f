;; Exits well, and would fail behind it.
;; control: exit
;; says: good
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (data (i32.const 16) "\01\00\00\00\00\01\00\00\04\00\00\00")
  (func (export "collect") (result i32)
    (call $proc_exit (i32.const 0))
    i32.const 16))
