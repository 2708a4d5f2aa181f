;; Keeps as many values as its megabyte of state holds, each under a key of three bytes and another one than before.
(import "pattoo:agent/state@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32)))
(import "pattoo:agent/clock@0.1.0" "now" (func $now (result i64)))
(memory (export "memory") 4)
(func $attack (local $turn i32)
  (i32.store8 (i32.const 1028) (i32.wrap_i64 (i64.div_u (call $now) (i64.const 1000))))
  (loop $next
    (i32.store8 (i32.const 1024) (i32.add (i32.const 33) (i32.and (local.get $turn) (i32.const 63))))
    (i32.store8 (i32.const 1025)
      (i32.add (i32.const 33) (i32.and (i32.shr_u (local.get $turn) (i32.const 6)) (i32.const 63))))
    (i32.store8 (i32.const 1026) (i32.add (i32.const 33) (i32.shr_u (local.get $turn) (i32.const 12))))
    (call $set (i32.const 1024) (i32.const 3) (i32.const 1028) (i32.const 1) (i32.const 512))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 262144)))))
