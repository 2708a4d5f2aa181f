//! Collectors in the text format, for modules that no toolchain makes.

/// The smallest collector: `collect` returns a pointer to four zero bytes, which is `ok`.
pub const IDLE: &str = r#"(component
  (core module $guest
    (memory (export "memory") 1)
    (func (export "collect") (result i32) i32.const 0))
  (core instance $instance (instantiate $guest))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))"#;

/// A component around a core function `collect` that returns a pointer to its result.
pub fn component(code: &str) -> String {
    format!(
        r#"(component
          (core module $guest (memory (export "memory") 1) {code})
          (core instance $instance (instantiate $guest))
          (func (export "collect") (result (result (error string)))
            (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))"#
    )
}

/// A core module that never ends and calls no host function.
pub const SPINNING: &str = r#"(module (memory (export "memory") 1)
  (func (export "collect") (result i32) (loop br 0) i32.const 0))"#;

/// A core module that emits one datapoint, `key` of the target `target`, and then runs `end`, which
/// leaves a pointer to the result.
pub fn emits_and(end: &str) -> String {
    format!(
        r#"(module
          (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
          (memory (export "memory") 1)
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
          (data (i32.const 0) "\40\00\00\00\03\00\00\00\00\00\00\00\00\00\00\00\07")
          (data (i32.const 64) "key")
          (data (i32.const 80) "target")
          (data (i32.const 128) "\01\00\00\00\50\00\00\00\06\00\00\00")
          (func (export "collect") (result i32)
            (call $emit (i32.const 80) (i32.const 6) (i32.const 0) (i32.const 1) (i32.const 1024))
            {end}))"#
    )
}

/// A component composed of two, as some toolchains make them: a text is copied from the memory of
/// one into that of the other.
pub const COMPOSED: &str = r#"(component
  (component $measuring
    (core module $guest
      (memory (export "memory") 1)
      (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
      (func (export "length") (param i32 i32) (result i32) local.get 1))
    (core instance $guest (instantiate $guest))
    (func (export "length") (param "text" string) (result u32)
      (canon lift (core func $guest "length")
        (memory (core memory $guest "memory")) (realloc (core func $guest "realloc")))))
  (component $collecting
    (import "length" (func $length (param "text" string) (result u32)))
    (core module $memory (memory (export "memory") 1) (data (i32.const 16) "hello"))
    (core instance $memory (instantiate $memory))
    (core func $length (canon lower (func $length) (memory (core memory $memory "memory"))))
    (core module $guest
      (import "" "length" (func $length (param i32 i32) (result i32)))
      (func (export "collect") (result i32)
        (if (i32.ne (call $length (i32.const 16) (i32.const 5)) (i32.const 5)) (then unreachable))
        i32.const 0))
    (core instance $guest (instantiate $guest (with "" (instance (export "length" (func $length))))))
    (func (export "collect") (result (result (error string)))
      (canon lift (core func $guest "collect") (memory (core memory $memory "memory")))))
  (instance $measuring (instantiate $measuring))
  (instance $collecting (instantiate $collecting (with "length" (func $measuring "length"))))
  (export "collect" (func $collecting "collect")))"#;

/// The code of a function with three parameters of type `i32`: this many branches that all depend
/// on each other, which take a compiler more than linear time.
pub fn dependent_branches(count: usize) -> String {
    let branch = "(if (local.get 0) (then (local.set 1 (i32.add (local.get 0) (local.get 2)))) \
                  (else (local.set 2 (i32.mul (local.get 1) (local.get 0)))))";
    branch.repeat(count)
}
