;; Reads behind its memory.
;; control: trap
;; says: out of bounds memory access
;; harmless: 65533 => 65532
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (i32.load (i32.const 65533)))
    i32.const 61440))
