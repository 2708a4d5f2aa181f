;; Imports a function of the contract under another signature.
;; control: world
;; says: must have
;; harmless: (param i64 i64) (result i32) => (result i64)
(module
  (import "pattoo:agent/clock@0.1.0" "now" (func (param i64 i64) (result i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32) i32.const 0))
