;; Has 660 fetches denied, each of a host of its own with a path of 8 000 bytes.
(import "pattoo:agent/http@0.1.0" "fetch" (func $fetch (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
(memory (export "memory") 4)
(data (i32.const 1024) "GEThttp://aaaa.example/")
(func $attack (local $turn i32)
  (memory.fill (i32.const 1047) (i32.const 120) (i32.const 8000))
  (loop $next
    (i32.store8 (i32.const 1034) (i32.add (i32.const 97) (i32.rem_u (local.get $turn) (i32.const 26))))
    (i32.store8 (i32.const 1035) (i32.add (i32.const 97) (i32.div_u (local.get $turn) (i32.const 26))))
    (call $fetch (i32.const 1024) (i32.const 3) (i32.const 1027) (i32.const 8020)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 660)))))
