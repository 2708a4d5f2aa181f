;; Loops for ever in its start function.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func $spin (loop br 0)) (start $spin)
  (func (export "collect") (result i32) i32.const 0))
