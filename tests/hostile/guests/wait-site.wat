;; Waits again and again for a site that never answers.
;; control: timeout
;; with: fetch_timeout=1h fetch_idle_timeout=1h
(module
  (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "GEThttp://127.0.0.1:54321/silence")
  (func (export "collect") (result i32)
    (loop
      (call $fetch (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 30) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
      br 0)
    i32.const 61440))
