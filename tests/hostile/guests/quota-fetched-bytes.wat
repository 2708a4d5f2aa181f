;; Fetches 10 kB, ten times.
;; control: fetched_bytes
;; with: fetched_bytes=40KiB
(module
  (import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "GEThttp://127.0.0.1:54321/large")
  (func (export "collect") (result i32) (local $turn i32)
    (loop $again
      (call $fetch (i32.const 0) (i32.const 3) (i32.const 3) (i32.const 28) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024))
      (if (i32.and (i32.eq (i32.load8_u (i32.const 1024)) (i32.const 1)) (i32.eq (i32.load8_u (i32.const 1032)) (i32.const 7))) (then
        (i32.store (i32.const 2048) (i32.const 1))
        (i64.store (i32.const 2052) (i64.load (i32.const 1040)))
        (return (i32.const 2048))))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 10))))
    i32.const 61440))
