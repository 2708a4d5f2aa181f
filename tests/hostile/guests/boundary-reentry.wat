;; Calls the host while the host asks it for room.
;; control: boundary
;; says: leave
(module
  (import "pattoo:agent/agent@0.1.0" "settings" (func $settings (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (call $settings (i32.const 1024)) i32.const 4096)
  (func (export "collect") (result i32)
    (call $settings (i32.const 1024))
    i32.const 61440))
