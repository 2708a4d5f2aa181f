;; The same in its start function.
;; control: stack
;; harmless: (i32.const 100000) => (i32.const 100)
(module
  (memory (export "memory") 1)
  (func $deep (param $left i32) (result i32)
    (if (i32.eqz (local.get $left)) (then (return (i32.const 0))))
    (i32.add (i32.const 1) (call $deep (i32.sub (local.get $left) (i32.const 1)))))
  (func $start (drop (call $deep (i32.const 100000))))
  (start $start)
  (func (export "collect") (result i32) i32.const 0))
