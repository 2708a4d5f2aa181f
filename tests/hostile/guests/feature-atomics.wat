;; Waits on an address for ever, where the host cannot interrupt.
;; control: features
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
    i32.const 61440))
