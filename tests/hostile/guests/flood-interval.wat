;; Asks for its interval for ever.
;; control: timeout
(module
  (import "pattoo:agent/agent@0.1.0" "polling-interval" (func $polling-interval (result i32)))
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop (drop (call $polling-interval)) br 0)
    i32.const 61440))
