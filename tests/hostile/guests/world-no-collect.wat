;; Exports nothing that could be called.
;; control: world
;; says: does not export
;; harmless: "_start") (loop br 0) => "collect") (result i32) i32.const 0
(module
  (memory (export "memory") 1)
  (func (export "_start") (loop br 0)))
