;; Imports a function of a module that does not exist.
;; control: world
;; says: no collector can import
;; harmless: (import "env" "system" (func (param i32) (result i32))) => (func (param i32) (result i32) i32.const 0)
(module
  (import "env" "system" (func (param i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32) i32.const 0))
