;; Makes many requests, makes a call with each, and drops none.
(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "fields" (type (sub resource)))           ;; 0
    (export "outgoing-request" (type (sub resource))) ;; 1
    (export "outgoing-body" (type (sub resource))) ;; 2
    (type (variant (case "get") (case "head") (case "post") (case "put") (case "delete") (case "connect") (case "options") (case "trace") (case "patch") (case "other" string))) ;; 3
    (export "method" (type (eq 3))) ;; 4
    (type (variant (case "HTTP") (case "HTTPS") (case "other" string))) ;; 5
    (export "scheme" (type (eq 5))) ;; 6
    (type (variant (case "invalid-syntax") (case "forbidden") (case "immutable"))) ;; 7
    (export "header-error" (type (eq 7))) ;; 8
    (type (list u8)) ;; 9
    (type (own 0)) (type (own 1)) (type (own 2)) ;; 10 11 12
    (type (borrow 0)) (type (borrow 1)) ;; 13 14
    (type (option string)) (type (option 6)) (type (result)) ;; 15 16 17
    (type (result 12)) ;; 18
    (type (result (error 8))) (type (result 10 (error 8))) ;; 19 20
    (type (tuple string 9)) (type (list 21)) ;; 21 22
    (export "[constructor]fields" (func (result 10)))
    (export "[constructor]outgoing-request" (func (param "headers" 10) (result 11)))
    (export "[static]fields.from-list" (func (param "entries" 22) (result 20)))
    (export "[method]fields.append" (func (param "self" 13) (param "name" string) (param "value" 9) (result 19)))
    (export "[method]fields.clone" (func (param "self" 13) (result 10)))
    (export "[method]outgoing-request.set-path-with-query" (func (param "self" 14) (param "path-with-query" 15) (result 17)))
    (export "[method]outgoing-request.set-authority" (func (param "self" 14) (param "authority" 15) (result 17)))
    (export "[method]outgoing-request.set-method" (func (param "self" 14) (param "method" 4) (result 17)))
    (export "[method]outgoing-request.set-scheme" (func (param "self" 14) (param "scheme" 16) (result 17)))
    (export "[method]outgoing-request.body" (func (param "self" 14) (result 18)))
  ))
  (import "pattoo:agent/log@0.1.0" (instance $log
    (type (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type (eq 0)))
    (export "log" (func (param "level" 1) (param "message" string)))))
  (core module $mem (memory (export "memory") 260) (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024))
  (core instance $m (instantiate $mem))
  (alias core export $m "memory" (core memory $memory))
  (core func $fields (canon lower (func $types "[constructor]fields")))
  (core func $request (canon lower (func $types "[constructor]outgoing-request")))
  (core func $from-list (canon lower (func $types "[static]fields.from-list") (memory $memory)))
  (core func $append (canon lower (func $types "[method]fields.append") (memory $memory)))
  (core func $clone (canon lower (func $types "[method]fields.clone")))
  (core func $path (canon lower (func $types "[method]outgoing-request.set-path-with-query") (memory $memory)))
  (core func $authority (canon lower (func $types "[method]outgoing-request.set-authority") (memory $memory)))
  (core func $method (canon lower (func $types "[method]outgoing-request.set-method") (memory $memory)))
  (core func $scheme (canon lower (func $types "[method]outgoing-request.set-scheme") (memory $memory)))
  (core func $body (canon lower (func $types "[method]outgoing-request.body") (memory $memory)))
  (core func $say (canon lower (func $log "log") (memory $memory)))
  (core module $guest
    (import "m" "memory" (memory 260))
    (import "h" "fields" (func $fields (result i32)))
    (import "h" "request" (func $request (param i32) (result i32)))
    (import "h" "from-list" (func $from-list (param i32 i32 i32)))
    (import "h" "append" (func $append (param i32 i32 i32 i32 i32 i32)))
    (import "h" "clone" (func $clone (param i32) (result i32)))
    (import "h" "path" (func $path (param i32 i32 i32 i32) (result i32)))
    (import "h" "authority" (func $authority (param i32 i32 i32 i32) (result i32)))
    (import "h" "method" (func $method (param i32 i32 i32 i32) (result i32)))
    (import "h" "scheme" (func $scheme (param i32 i32 i32 i32 i32) (result i32)))
    (import "h" "body" (func $body (param i32 i32)))
    (import "h" "say" (func $say (param i32 i32 i32)))
    (func (export "collect") (result i32) (local $turn i32) (local $r i32) (local $f i32)
      (memory.fill (i32.const 65536) (i32.const 97) (i32.const 16800000))
      (i32.store8 (i32.const 65536) (i32.const 47))
      (i32.store (i32.const 0) (i32.const 0x65726568))
      (loop $again
        (local.set $r (call $request (call $fields)))
        (drop (block (result i32) CALL))
        (br_if $again (i32.lt_u (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const COUNT))))
      (call $say (i32.const 2) (i32.const 0) (i32.const 4))
      i32.const 4096))
  (core instance $h (export "fields" (func $fields)) (export "request" (func $request)) (export "from-list" (func $from-list))
    (export "append" (func $append)) (export "clone" (func $clone)) (export "path" (func $path)) (export "authority" (func $authority))
    (export "method" (func $method)) (export "scheme" (func $scheme)) (export "body" (func $body)) (export "say" (func $say)))
  (core instance $g (instantiate $guest (with "m" (instance $m)) (with "h" (instance $h))))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $g "collect") (memory $memory))))
