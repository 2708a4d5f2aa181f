;; Asks how long it has run for ever.
;; control: timeout
(module
  (import "pattoo:agent/clock@0.1.0" "monotonic" (func $monotonic (result i64)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop (drop (call $monotonic)) br 0)
    i32.const 61440))
