;; Makes an integer of what is no number.
;; control: trap
;; says: invalid conversion
;; harmless: (f64.const nan) => (f64.const 1)
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (i32.trunc_f64_s (f64.const nan)))
    i32.const 61440))
