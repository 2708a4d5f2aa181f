//! TypeScript: as JavaScript, with its compiler for the types.

use super::{Language, javascript, sdks};

pub(super) const LANGUAGE: Language = Language {
    name: "typescript",
    title: "TypeScript",
    parts: &[("", sdks::TYPESCRIPT), ("pattoo", sdks::JAVASCRIPT_SDK)],
    marker: "collector.ts",
    test: "npm install && npm test",
    build: |folder, output| javascript::build(folder, output, &["pattoo", "esbuild", "typescript"]),
};
