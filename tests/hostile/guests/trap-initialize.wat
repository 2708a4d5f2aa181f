;; Traps in `_initialize`.
;; control: trap
;; says: unreachable
;; harmless: unreachable => nop
(module
  (memory (export "memory") 1)
  (func (export "_initialize") unreachable)
  (func (export "collect") (result i32) i32.const 0))
