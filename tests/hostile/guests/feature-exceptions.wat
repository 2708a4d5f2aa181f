;; Throws an exception at the host.
;; control: features
(module
  (memory (export "memory") 1)
  (tag $oops)
  (func (export "collect") (result i32)
    (throw $oops)
    i32.const 61440))
