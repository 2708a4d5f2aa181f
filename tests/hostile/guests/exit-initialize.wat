;; Exits in `_initialize`.
;; control: exit
;; says: exited with status 1
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 65536)
  (func (export "_initialize") (call $proc_exit (i32.const 1)))
  (func (export "collect") (result i32) i32.const 0))
