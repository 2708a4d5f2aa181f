;; Reads its settings of 1 MB 1 000 times, then asks for random bytes until it is stopped.
(import "pattoo:agent/agent@0.1.0" "settings" (func $settings (param i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
(memory (export "memory") 300)
(func $attack (local $turn i32)
  (loop $next
    (call $settings (i32.const 512))
    (br_if $next (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 1000))))
  (loop (drop (call $random_get (i32.const 131072) (i32.const 16700000))) br 0))
