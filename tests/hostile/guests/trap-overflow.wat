;; Divides the smallest number by -1, which faults on some processors.
;; control: trap
;; says: integer overflow
;; harmless: (i32.const -1) => (i32.const 1)
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))
    i32.const 61440))
