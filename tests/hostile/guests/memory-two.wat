;; Two memories of 5 MiB each: neither is too large.
;; control: memory
;; with: memory=8MiB
(component
  (core module $first (memory (export "memory") 80) (func (export "collect") (result i32) i32.const 0))
  (core module $second (memory 80))
  (core instance $instance (instantiate $first))
  (core instance (instantiate $second))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
