;; Asks for twenty pages at once, each with a body of 60 kB.
;; control: host_memory
;; with: host_memory=1MiB
(module
  (import "pattoo:agent/http@0.1.0" "fetch-all" (func $fetch-all (param i32 i32 i32)))
  (memory (export "memory") 3)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "POSThttp://127.0.0.1:9/")
  (func (export "collect") (result i32) (local $turn i32) (local $p i32)
    (loop $again
      (local.set $p (i32.add (i32.const 4096) (i32.mul (local.get $turn) (i32.const 44))))
      (i32.store (local.get $p) (i32.const 0)) (i32.store offset=4 (local.get $p) (i32.const 4))
      (i32.store offset=8 (local.get $p) (i32.const 4)) (i32.store offset=12 (local.get $p) (i32.const 19))
      (i32.store8 offset=24 (local.get $p) (i32.const 1))
      (i32.store offset=28 (local.get $p) (i32.const 65536)) (i32.store offset=32 (local.get $p) (i32.const 60000))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 20))))
    (call $fetch-all (i32.const 4096) (i32.const 20) (i32.const 1024))
    i32.const 61440))
