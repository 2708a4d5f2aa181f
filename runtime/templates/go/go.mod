module {{name}}

go 1.24

require pattoo v0.1.0

// The kit, as it came with the pattoo-wasm that made this project. A newer one can take its place.
replace pattoo => ./pattoo
