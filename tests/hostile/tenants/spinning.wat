;; Never ends, and asks the host for nothing.
(memory (export "memory") 4)
(func $attack (loop br 0))
