;; Emits a datapoint from an hour ahead, after which the server would ignore all others.
;; control: timestamp_ahead
;; with: timestamp_ahead=5m
(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (import "pattoo:agent/clock@0.1.0" "now" (func $now (result i64)))
  (memory (export "memory") 1)
  (data (i32.const 3072) "\00\10\00\00\04\00\00\00") (data (i32.const 4096) "key")
  (global $room (mut i32) (i32.const 32768))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $room (i32.add (global.get $room) (i32.const 256)))
    global.get $room)
  (data (i32.const 3096) "\01")
  (func (export "collect") (result i32)
    (i64.store (i32.const 3104) (i64.add (call $now) (i64.const 3600000)))
    (call $emit (i32.const 4096) (i32.const 1) (i32.const 3072) (i32.const 1) (i32.const 1024))
    ;; One rejection: its index, then the reason, at 4, and the text of that, at 8.
    (if (i32.load (i32.const 1032)) (then
      (i32.store (i32.const 2048) (i32.const 1))
      (i64.store (i32.const 2052) (i64.load offset=8 (i32.load (i32.const 1028))))
      (return (i32.const 2048))))
    i32.const 61440))
