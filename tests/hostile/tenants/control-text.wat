;; Emits one text of 16 MB of U+0001, which is six bytes each in JSON.
(memory (export "memory") 260)
(data (i32.const 1024) "n")
(data (i32.const 2048) "\00\04\00\00\01\00\00\00\05\00\00\00\00\00\00\00\00\00\02\00\60\d2\fe\00")
(func $attack
  (memory.fill (i32.const 131072) (i32.const 1) (i32.const 16700000))
  (call $emit (i32.const 1024) (i32.const 1) (i32.const 2048) (i32.const 1) (i32.const 512)))
