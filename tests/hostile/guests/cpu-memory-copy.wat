;; Copies 32 MiB onto itself, shifted by a byte, again and again.
;; control: timeout
(module
  (memory (export "memory") 512)
  (func (export "collect") (result i32)
    (loop (memory.copy (i32.const 1) (i32.const 0) (i32.const 33554431)) br 0)
    i32.const 61440))
