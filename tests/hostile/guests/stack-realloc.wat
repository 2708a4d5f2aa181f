;; The same when the host asks it for room.
;; control: stack
;; harmless: (i32.const 100000) => (i32.const 100)
(module
  (import "pattoo:agent/agent@0.1.0" "settings" (func $settings (param i32)))
  (memory (export "memory") 1)
  (func $deep (param $left i32) (result i32)
    (if (i32.eqz (local.get $left)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $deep (i32.sub (local.get $left) (i32.const 1)))))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (drop (call $deep (i32.const 100000)))
    i32.const 0)
  (func (export "collect") (result i32)
    (call $settings (i32.const 1024))
    i32.const 61440))
