;; Reads a hundred registers with one request of a device that answers how many were requested.
;; control: concurrent_spans
;; with: concurrent_spans=10
(module
  (import "pattoo:agent/modbus@0.1.0" "read-many" (func $read-many (param i32 i32 i32)))
  (memory (export "memory") 4)
  (data (i32.const 0) "counting")
  (global $room (mut i32) (i32.const 32768))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $start i32)
    (local.set $start (global.get $room))
    (global.set $room (i32.add (global.get $room) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
    local.get $start)
  (func (export "collect") (result i32) (local $turn i32) (local $span i32)
    (loop $again
      (local.set $span (i32.add (i32.const 8192) (i32.shl (local.get $turn) (i32.const 4))))
      (i32.store offset=4 (local.get $span) (i32.const 8))
      (i32.store8 offset=10 (local.get $span) (i32.const 2))
      (i32.store16 offset=12 (local.get $span) (local.get $turn))
      (i32.store16 offset=14 (local.get $span) (i32.const 1))
      (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 100))))
    (call $read-many (i32.const 8192) (i32.const 100) (i32.const 1024))
    ;; The first result has no error, and its words are a list with this register.
    (if (i32.load8_u (i32.load (i32.const 1024))) (then unreachable))
    (if (i32.ne (i32.load16_u (i32.load offset=8 (i32.load (i32.const 1024)))) (i32.const 100)) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i32.store (i32.const 2056) (i32.const 3))
      (return (i32.const 2048))))
    i32.const 61440))
