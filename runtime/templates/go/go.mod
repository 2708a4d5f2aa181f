module {{name}}

go 1.24

require pattoo v0.1.0

// The SDK of the pattoo-wasm that created this project. A newer one can replace it.
replace pattoo => ./pattoo
