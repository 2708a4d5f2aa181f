;; Calls itself twice, sixty levels deep: little stack, and 2^60 calls.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func $tree (param i32)
    (if (local.get 0) (then
      (call $tree (i32.sub (local.get 0) (i32.const 1)))
      (call $tree (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "collect") (result i32)
    (call $tree (i32.const 60))
    i32.const 61440))
