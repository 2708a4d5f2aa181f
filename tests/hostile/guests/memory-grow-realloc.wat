;; Grows by 16 MiB when the host asks it for room.
;; control: memory
;; with: memory=8MiB
(module
  (import "pattoo:agent/agent@0.1.0" "settings" (func $settings (param i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (drop (memory.grow (i32.const 256))) i32.const 0)
  (func (export "collect") (result i32)
    (call $settings (i32.const 1024))
    i32.const 61440))
