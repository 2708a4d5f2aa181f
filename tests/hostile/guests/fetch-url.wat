;; Fetches from an address of 5 kB.
;; control: url_bytes
;; with: url_bytes=4KiB
(module
  (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "GET") (data (i32.const 8192) "http://127.0.0.1:54321/")
  (func (export "collect") (result i32)
    (memory.fill (i32.const 8215) (i32.const 120) (i32.const 5000))
    (call $fetch (i32.const 0) (i32.const 3) (i32.const 8192) (i32.const 5000) (i32.const 0) (i32.const 0)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
    ;; Fails with the words of the error.
    (if (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i64.store (i32.const 2052) (i64.load (i32.const 1040)))
      (return (i32.const 2048))))
    i32.const 61440))
