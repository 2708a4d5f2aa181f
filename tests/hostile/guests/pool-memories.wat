;; Three memories.
;; control: pool
;; harmless: (memory 1)) => (func))
(component
  (core module $guest (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))
  (core module $other (memory 1))
  (core instance $instance (instantiate $guest))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
