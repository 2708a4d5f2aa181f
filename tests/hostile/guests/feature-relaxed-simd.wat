;; Instructions whose result depends on the processor.
;; control: features
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))
    i32.const 61440))
