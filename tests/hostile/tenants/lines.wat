;; Logs 2 000 lines of 4 KiB, and writes a million empty lines to standard error.
(import "pattoo:agent/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
(memory (export "memory") 20)
(data (i32.const 1024) "\00\00\02\00\40\42\0f\00")
(func $attack (local $turn i32)
  (memory.fill (i32.const 131072) (i32.const 120) (i32.const 4096))
  (loop $next
    (call $log (i32.const 4) (i32.const 131072) (i32.const 4096))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 2000))))
  (memory.fill (i32.const 131072) (i32.const 10) (i32.const 1000000))
  (drop (call $write (i32.const 2) (i32.const 1024) (i32.const 1) (i32.const 512))))
