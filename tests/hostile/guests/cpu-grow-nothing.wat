;; Grows its memory by nothing for ever.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32)
    (loop (drop (memory.grow (i32.const 0))) br 0)
    i32.const 61440))
