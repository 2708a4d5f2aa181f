;; Exits with status 7: preview 1 can only say that it was bad.
;; control: exit
;; says: exited with status 1
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "collect") (result i32)
    (call $proc_exit (i32.const 7))
    i32.const 61440))
