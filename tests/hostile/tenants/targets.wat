;; Emits nothing to 676 targets whose names of 16 MB are spaces but for two letters.
(memory (export "memory") 260)
(func $attack (local $turn i32)
  (memory.fill (i32.const 131072) (i32.const 32) (i32.const 16700000))
  (loop $next
    (i32.store8 (i32.const 131072) (i32.add (i32.const 97) (i32.rem_u (local.get $turn) (i32.const 26))))
    (i32.store8 (i32.const 131073) (i32.add (i32.const 97) (i32.div_u (local.get $turn) (i32.const 26))))
    (call $emit (i32.const 131072) (i32.const 16700000) (i32.const 0) (i32.const 0) (i32.const 512))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 676)))))
