;; Its data lies behind its memory.
;; control: trap
;; says: out of bounds memory access
;; harmless: 65535 => 65534
(module
  (memory (export "memory") 1)
  (data (i32.const 65535) "ab")
  (func (export "collect") (result i32) i32.const 0))
