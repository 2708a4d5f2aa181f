;; Waits again and again for a device that never answers.
;; control: timeout
(module
  (import "pattoo:agent/modbus@0.1.0" "read-coils" (func $read-coils (param i32 i32 i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (data (i32.const 0) "silent")
  (func (export "collect") (result i32)
    (loop
      (call $read-coils (i32.const 0) (i32.const 6) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 1024))
      br 0)
    i32.const 61440))
