;; Reads 8 GiB behind its memory, where a host may have another.
;; control: trap
;; says: out of bounds memory access
;; harmless: offset=0xfffffff0 (i32.const -1) => offset=0 (i32.const 0)
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (drop (i32.load offset=0xfffffff0 (i32.const -1)))
    i32.const 61440))
