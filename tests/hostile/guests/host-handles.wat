;; Holds a hundred requests over `wasi:http`, each with a path of 8 kB.
;; control: host_memory
;; with: host_memory=1MiB
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type (sub resource)))
    (export "outgoing-request" (type (sub resource)))
    (type (own 0)) (type (own 1)) (type (borrow 1)) (type (option string)) (type (result))
    (export "[constructor]fields" (func (result 2)))
    (export "[constructor]outgoing-request" (func (param "headers" 2) (result 3)))
    (export "[method]outgoing-request.set-path-with-query" (func (param "self" 4) (param "path-with-query" 5) (result 6)))))
  (core module $mem (memory (export "memory") 1) (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $m (instantiate $mem))
  (alias core export $m "memory" (core memory $memory))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $request (canon lower (func $types "[constructor]outgoing-request")))
  (core func $path (canon lower (func $types "[method]outgoing-request.set-path-with-query") (memory $memory)))
  (core module $guest
    (import "m" "memory" (memory 1))
    (import "h" "fields" (func $fields (result i32)))
    (import "h" "request" (func $request (param i32) (result i32)))
    (import "h" "path" (func $path (param i32 i32 i32 i32) (result i32)))
    (func (export "collect") (result i32) (local $turn i32)
      (memory.fill (i32.const 8192) (i32.const 97) (i32.const 8000))
      (i32.store8 (i32.const 8192) (i32.const 47))
      (loop $again
        (drop (call $path (call $request (call $fields)) (i32.const 1) (i32.const 8192) (i32.const 8000)))
        (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 100))))
      i32.const 4096))
  (core instance $h (export "fields" (func $fields)) (export "request" (func $request)) (export "path" (func $path)))
  (core instance $g (instantiate $guest (with "m" (instance $m)) (with "h" (instance $h))))
  (func (export "collect") (result (result (error string))) (canon lift (core func $g "collect") (memory $memory))))
