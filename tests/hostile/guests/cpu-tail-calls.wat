;; Two functions that end by calling each other, without a loop and without stack.
;; control: timeout
(module
  (memory (export "memory") 1)
  (func $ping return_call $pong)
  (func $pong return_call $ping)
  (func (export "collect") (result i32)
    call $ping
    i32.const 61440))
