//! TypeScript: as JavaScript, with its compiler for the types.

use super::{Language, javascript, kits};

pub(super) const LANGUAGE: Language = Language {
    name: "typescript",
    title: "TypeScript",
    parts: &[("", kits::TYPESCRIPT), ("pattoo", kits::JAVASCRIPT_KIT)],
    marker: "collector.ts",
    test: "npm install && npm test",
    build: |folder, output| javascript::build(folder, output, &["pattoo", "esbuild", "typescript"]),
};
