;; Wants four requests to be under way at the same time.
;; control: concurrent_fetches
;; with: concurrent_fetches=2
(module
  (import "pattoo:agent/http@0.1.0" "fetch-all" (func $fetch-all (param i32 i32 i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 32768))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    global.get $free
    (global.set $free (i32.add (global.get $free) (local.get 3))))
  (data (i32.const 0) "GET") (data (i32.const 8) "http://127.0.0.1:54321/crowd")
  (func (export "collect") (result i32)
    ;; Four requests of 44 bytes: the method, the address, no header field, no body, no time.
    (i32.store (i32.const 4096) (i32.const 0))
    (i32.store (i32.const 4100) (i32.const 3))
    (i32.store (i32.const 4104) (i32.const 8))
    (i32.store (i32.const 4108) (i32.const 28))
    (memory.copy (i32.const 4140) (i32.const 4096) (i32.const 44))
    (memory.copy (i32.const 4184) (i32.const 4096) (i32.const 88))
    (call $fetch-all (i32.const 4096) (i32.const 4) (i32.const 1024))
    ;; Fails unless the site saw enough of them for a 200.
    (if (i32.ne (i32.load16_u offset=8 (i32.load (i32.const 1024))) (i32.const 200)) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i32.store (i32.const 2056) (i32.const 3))
      (return (i32.const 2048))))
    i32.const 61440))
