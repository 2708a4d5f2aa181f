;; Ten tables of 900 elements: none is too large.
;; control: table_elements
;; with: table_elements=1000
(component
  (core module $guest (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))
  (core module $other (table 900 funcref))
  (core instance $instance (instantiate $guest))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (core instance (instantiate $other))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
