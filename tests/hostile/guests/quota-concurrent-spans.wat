;; Reads a hundred spans in one call.
;; control: concurrent_spans
;; with: concurrent_spans=10
(module
  (import "pattoo:agent/modbus@0.1.0" "read-many" (func $read-many (param i32 i32 i32)))
  (memory (export "memory") 4)
  (global $room (mut i32) (i32.const 32768))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $start i32)
    (local.set $start (global.get $room))
    (global.set $room (i32.add (global.get $room) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8))))
    local.get $start)
  (func (export "collect") (result i32)
    (call $read-many (i32.const 8192) (i32.const 100) (i32.const 1024))
    ;; The first result: an error, and its case at 4 is the quota.
    (if (i32.eq (i32.load8_u offset=4 (i32.load (i32.const 1024))) (i32.const 6)) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i64.store (i32.const 2052) (i64.load offset=8 (i32.load (i32.const 1024))))
      (return (i32.const 2048))))
    i32.const 61440))
