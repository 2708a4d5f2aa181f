;; A place for the result at an odd address.
;; control: boundary
;; says: aligned
(module
  (import "pattoo:agent/agent@0.1.0" "settings" (func $settings (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (call $settings (i32.const 1025))
    i32.const 61440))
