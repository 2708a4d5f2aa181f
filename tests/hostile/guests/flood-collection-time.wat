;; Asks when it began for ever.
;; control: timeout
(module
  (import "pattoo:agent/agent@0.1.0" "collection-time" (func $collection-time (result i64)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop (drop (call $collection-time)) br 0)
    i32.const 61440))
