;; Imports a function that the contract does not have: one that writes to a device.
;; control: world
;; says: which has
;; harmless: (import "pattoo:agent/modbus@0.1.0" "write-register" (func (param i32 i32))) => (func (param i32 i32))
(module
  (import "pattoo:agent/modbus@0.1.0" "write-register" (func (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32) i32.const 0))
