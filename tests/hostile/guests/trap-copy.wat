;; Copies from behind its memory.
;; control: trap
;; says: out of bounds memory access
;; harmless: 65536 => 65535
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (memory.copy (i32.const 0) (i32.const 1) (i32.const 65536))
    i32.const 61440))
