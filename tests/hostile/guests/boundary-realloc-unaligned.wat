;; Room for the host at an odd address.
;; control: boundary
;; says: realloc
(module
  (import "pattoo:agent/modbus@0.1.0" "devices" (func $devices (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4097)
  (func (export "collect") (result i32)
    (call $devices (i32.const 1024))
    i32.const 61440))
