//! Collectors in the text format, for what no toolchain would make.

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
