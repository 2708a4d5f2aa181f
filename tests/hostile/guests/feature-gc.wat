;; Objects that the host would have to collect.
;; control: features
(module
  (memory (export "memory") 1)
  (type $box (struct (field i64)))
  (func (export "collect") (result i32)
    (drop (struct.new_default $box))
    i32.const 61440))
