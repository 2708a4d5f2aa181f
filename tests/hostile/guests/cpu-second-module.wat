;; The second of two modules of a component loops for ever when it starts.
;; control: timeout
(component
  (core module $first (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))
  (core module $second (func $spin (loop br 0)) (start $spin))
  (core instance $instance (instantiate $first))
  (core instance (instantiate $second))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
