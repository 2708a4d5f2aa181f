;; A list that goes on behind the memory.
;; control: boundary
;; says: out of bounds
(module
  (import "pattoo:agent/modbus@0.1.0" "read-many" (func $read-many (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 32768)
  (func (export "collect") (result i32)
    (call $read-many (i32.const 65520) (i32.const 5) (i32.const 1024))
    i32.const 61440))
