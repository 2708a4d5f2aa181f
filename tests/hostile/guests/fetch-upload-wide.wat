;; Sends a header field of 8 kB.
;; control: request_header_bytes
;; with: request_header_bytes=4KiB
(module
  (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "GET") (data (i32.const 8) "http://127.0.0.1:54321/sink")
  (func (export "collect") (result i32)
    (memory.fill (i32.const 8192) (i32.const 120) (i32.const 8000))
    (i32.store (i32.const 4096) (i32.const 8192))
    (i32.store (i32.const 4100) (i32.const 1))
    (i32.store (i32.const 4104) (i32.const 8192))
    (i32.store (i32.const 4108) (i32.const 8000))
    (call $fetch (i32.const 0) (i32.const 3) (i32.const 8) (i32.const 27) (i32.const 4096) (i32.const 1)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
    ;; Fails if that came to the error which its limit gives.
    (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1032)) (i32.const 1))) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i32.store (i32.const 2056) (i32.const 3))
      (return (i32.const 2048))))
    i32.const 61440))
