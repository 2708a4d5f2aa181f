;; Has 20 fetches denied, each with a method of 16 MB.
(import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(memory (export "memory") 600)
(data (i32.const 1024) "http://127.0.0.1:9/")
(func $attack (local $turn i32)
  (memory.fill (i32.const 17825792) (i32.const 65) (i32.const 16700000))
  (loop $next
    (i32.store8 (i32.const 17825792) (i32.add (i32.const 65) (local.get $turn)))
    (call $fetch (i32.const 17825792) (i32.const 16700000) (i32.const 1024) (i32.const 19)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 20)))))
