;; Traps in its start function.
;; control: trap
;; says: unreachable
;; harmless: unreachable => nop
(module
  (memory (export "memory") 1)
  (func $start unreachable) (start $start)
  (func (export "collect") (result i32) i32.const 0))
