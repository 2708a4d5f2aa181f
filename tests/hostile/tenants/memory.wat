;; Takes all linear memory that it may have, and writes to all of it until its deadline.
(memory (export "memory") 4)
(func $attack
  (drop (memory.grow (i32.const 1020)))
  (loop
    (memory.fill (i32.const 65536) (i32.const 1) (i32.const 67043328))
    br 0))
