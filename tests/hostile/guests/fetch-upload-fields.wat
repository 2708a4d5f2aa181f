;; Sends 32 header fields.
;; control: request_headers
;; with: request_headers=10
(module
  (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "GET") (data (i32.const 8) "http://127.0.0.1:54321/sink")
  (func (export "collect") (result i32)
    ;; A name, a value, and 32 times where they are.
    (i32.store (i32.const 512) (i32.const 120))
    (i32.store (i32.const 4096) (i32.const 512))
    (i32.store (i32.const 4100) (i32.const 1))
    (i32.store (i32.const 4104) (i32.const 512))
    (i32.store (i32.const 4108) (i32.const 1))
    (memory.copy (i32.const 4112) (i32.const 4096) (i32.const 16))
    (memory.copy (i32.const 4128) (i32.const 4096) (i32.const 32))
    (memory.copy (i32.const 4160) (i32.const 4096) (i32.const 64))
    (memory.copy (i32.const 4224) (i32.const 4096) (i32.const 128))
    (memory.copy (i32.const 4352) (i32.const 4096) (i32.const 256))
    (call $fetch (i32.const 0) (i32.const 3) (i32.const 8) (i32.const 27) (i32.const 4096) (i32.const 32)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
    ;; Fails if that came to the error which its limit gives.
    (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1032)) (i32.const 1))) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i32.store (i32.const 2056) (i32.const 3))
      (return (i32.const 2048))))
    i32.const 61440))
