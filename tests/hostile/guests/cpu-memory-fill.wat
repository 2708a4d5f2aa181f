;; Fills 32 MiB again and again, each time in one instruction.
;; control: timeout
(module
  (memory (export "memory") 512)
  (func (export "collect") (result i32)
    (loop (memory.fill (i32.const 0) (i32.const 7) (i32.const 33554432)) br 0)
    i32.const 61440))
