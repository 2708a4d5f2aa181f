;; Opens a thousand timers and closes none.
;; control: resources
;; with: resources=50
(component
  (import "wasi:io/poll@0.2.0" (instance $poll (export "pollable" (type (sub resource)))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own 1))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core module $guest
    (import "clock" "subscribe" (func $subscribe (param i64) (result i32)))
    (memory (export "memory") 1)
    (func (export "collect") (result i32) (local $turn i32)
      (loop $again
        (drop (call $subscribe (i64.const 1000000000000)))
        (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 1000))))
      i32.const 0))
  (core instance $clocks (export "subscribe" (func $subscribe)))
  (core instance $instance (instantiate $guest (with "clock" (instance $clocks))))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))
