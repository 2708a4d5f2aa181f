;; Makes a hundred thousand resources of a kind of its own, which no host function sees.
;; control: resources
;; with: resources=50
(component
  (type $thing (resource (rep i32)))
  (core func $new (canon resource.new $thing))
  (core module $guest
    (import "thing" "new" (func $new (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "collect") (result i32) (local $turn i32)
      (loop $again
        (drop (call $new (local.get $turn)))
        (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 100000))))
      i32.const 0))
  (core instance $things (export "new" (func $new)))
  (core instance $instance (instantiate $guest (with "thing" (instance $things))))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
