;; Traps.
;; control: trap
;; says: unreachable
;; harmless: unreachable => nop
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    unreachable
    i32.const 61440))
